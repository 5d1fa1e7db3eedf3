// The theme: light, dark or the system's (auto). Loaded before the page is painted, so that it never flashes.
(() => {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  // What the person chose on the page Account; a choice in the sidebar holds in this browser until that one is changed.
  const saved = root.dataset.themeChoice || "auto";
  const choice = () => {
    const [own, over] = (localStorage.getItem("theme") || "").split(" over ");
    return own && (over || "auto") === saved ? own : saved;
  };

  const apply = () => {
    const theme = choice() === "auto" ? (dark.matches ? "dark" : "light") : choice();
    if (root.dataset.theme === theme) return;
    root.dataset.theme = theme;
    document.dispatchEvent(new CustomEvent("portal:theme"));
  };
  const label = () =>
    document.querySelectorAll("[data-theme-label]").forEach((node) => (node.textContent = `Theme: ${choice()}`));

  apply();
  dark.addEventListener("change", apply);
  document.addEventListener("DOMContentLoaded", label);
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-theme-toggle]")) return;
    const order = ["auto", "light", "dark"];
    localStorage.setItem("theme", `${order[(order.indexOf(choice()) + 1) % order.length]} over ${saved}`);
    apply();
    label();
  });
})();
