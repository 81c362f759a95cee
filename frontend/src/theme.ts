/** Dark or light. The choice is a cookie, so that the server writes it into the page and nothing flashes. */

const YEAR = 365 * 24 * 3600;

export function startThemeToggle(): void {
  const root = document.documentElement;
  for (const button of document.querySelectorAll<HTMLButtonElement>("[data-theme-toggle]")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      const theme = isLight(root) ? "dark" : "light";
      root.dataset["theme"] = theme;
      const secure = location.protocol === "https:" ? "; Secure" : "";
      document.cookie = `theme=${theme}; Path=/; Max-Age=${YEAR}; SameSite=Lax${secure}`;
    });
  }
}

function isLight(root: HTMLElement): boolean {
  const chosen = root.dataset["theme"];
  return chosen ? chosen === "light" : matchMedia("(prefers-color-scheme: light)").matches;
}
