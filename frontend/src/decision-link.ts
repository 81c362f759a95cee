/** On a phone a button under the thumb leads to the decision; it steps aside when the decision is on screen. */

export function startDecisionLink(): void {
  const observer = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      target.querySelector("[data-to-decision]")?.classList.toggle("to-decision-near", isIntersecting);
    }
  });
  const watch = () => {
    observer.disconnect();
    const decision = document.querySelector("#decision");
    if (decision) observer.observe(decision);
  };
  document.body.addEventListener("htmx:afterSettle", watch);
  watch();
}
