/** A claim ends when its page is left: the reader need not think of it. */

export function startClaims(): void {
  addEventListener("pagehide", () => {
    const form = document.querySelector<HTMLFormElement>("[data-claim-leave]");
    if (!form) return;
    const data = new FormData(form);
    data.set("act", "leave");
    data.set("opened", form.dataset["opened"]!);
    navigator.sendBeacon(form.dataset["claimLeave"]!, data);
  });
}
