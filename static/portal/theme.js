// The theme: light, dark or the system's (auto). Loaded before the page is painted, so that it never flashes.
(() => {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const choice = () => localStorage.getItem("theme") || "auto";

  const apply = () => {
    const theme = choice() === "auto" ? (dark.matches ? "dark" : "light") : choice();
    if (root.dataset.theme === theme) return;
    root.dataset.theme = theme;
    document.dispatchEvent(new CustomEvent("portal:theme"));
  };
  const label = () => document.querySelectorAll("[data-theme-label]").forEach((node) => (node.textContent = `Theme: ${choice()}`));

  apply();
  dark.addEventListener("change", apply);
  document.addEventListener("DOMContentLoaded", label);
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-theme-toggle]")) return;
    const order = ["auto", "light", "dark"];
    localStorage.setItem("theme", order[(order.indexOf(choice()) + 1) % order.length]);
    apply();
    label();
  });
})();
