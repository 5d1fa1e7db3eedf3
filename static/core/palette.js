// The keyboard and the command palette: / opens the palette, ? lists the keys, g and a letter goes to a page, t picks
// the time range. (Esc and menus: controls.js.)
const $ = (selector) => document.querySelector(selector);
const typing = (target) => target.closest("input, textarea, select, [contenteditable]");
let places = null;
let gone = 0;

const go = (key) => $(`.nav-link[data-key="${key}"]`)?.click();

const collect = async () => {
  const own = [...document.querySelectorAll(".nav-link")].map((link) => ({
    text: link.dataset.name,
    note: "page",
    href: link.href,
  }));
  const url = $("#palette").dataset.url;
  const more = url
    ? await fetch(url, { credentials: "same-origin" }).then(
        (answer) => (answer.ok ? answer.json() : []),
        () => [],
      )
    : [];
  return [...own, ...more];
};
const show = (query) => {
  const list = $("#palette ul");
  const id = query.trim().toLowerCase();
  const trace = /^[0-9a-f]{32}$/.test(id) ? [{ text: id, note: "trace", href: `/traces/${id}/` }] : [];
  const terms = query.toLowerCase().split(/\s+/).filter(Boolean);
  const found = [
    ...trace,
    ...(places || []).filter((place) =>
      terms.every((term) => `${place.text} ${place.note}`.toLowerCase().includes(term)),
    ),
  ].slice(0, 30);
  list.replaceChildren(
    ...found.map((place, index) => {
      const item = document.createElement("li");
      item.id = `palette-${index}`;
      item.setAttribute("role", "option");
      item.setAttribute("aria-selected", String(index === 0));
      item.dataset.href = place.href;
      item.append(place.text);
      const note = document.createElement("span");
      note.textContent = place.note;
      item.append(note);
      return item;
    }),
  );
  if (!found.length) {
    const none = document.createElement("li");
    none.className = "hint";
    none.textContent = "Nothing is called that.";
    list.append(none);
  }
  $("#palette input").setAttribute("aria-activedescendant", found.length ? "palette-0" : "");
};
const openPalette = async () => {
  const dialog = $("#palette");
  dialog.showModal();
  dialog.querySelector("input").value = "";
  places ||= await collect();
  show(dialog.querySelector("input").value);
};
const move = (by) => {
  const items = [...document.querySelectorAll("#palette li[data-href]")];
  const at = items.findIndex((item) => item.getAttribute("aria-selected") === "true");
  const next = items[Math.min(items.length - 1, Math.max(0, at + by))];
  items.forEach((item) => item.setAttribute("aria-selected", String(item === next)));
  next?.scrollIntoView({ block: "nearest" });
  $("#palette input").setAttribute("aria-activedescendant", next?.id || "");
};
document.addEventListener("keydown", (event) => {
  if (event.target.closest("#palette")) {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      move(event.key === "ArrowDown" ? 1 : -1);
    }
    if (event.key === "Enter") {
      event.preventDefault();
      const chosen = $('#palette li[aria-selected="true"]');
      if (chosen?.dataset.href) location.assign(chosen.dataset.href);
    }
    return;
  }
  if (typing(event.target) || event.ctrlKey || event.metaKey || event.altKey || !$("#palette")) return;
  if (Date.now() - gone < 1200) {
    gone = 0;
    go(event.key);
    return;
  }
  if (event.key === "/") {
    event.preventDefault();
    openPalette();
  }
  if (event.key === "?") $("#keys").showModal();
  if (event.key === "g") gone = Date.now();
  if (event.key === "t") {
    const menu = $(".range-menu");
    if (menu) {
      menu.open = true;
      menu.querySelector("input, a")?.focus();
      event.preventDefault();
    }
  }
});
document.addEventListener("input", ({ target }) => target.closest("#palette") && show(target.value));
document.addEventListener("click", ({ target }) => {
  if (target.closest("[data-palette]")) openPalette();
  if (target.closest("[data-keys]")) $("#keys").showModal();
  const item = target.closest("#palette li[data-href]");
  if (item) location.assign(item.dataset.href);
});
