// The keyboard: / jumps anywhere, ? lists the keys, g and a letter goes to a page, t picks the range, Esc closes. Also the
// narrow menu, menus that close when one clicks elsewhere, and confirmation of dangerous buttons (data-confirm).
(() => {
  const $ = (selector) => document.querySelector(selector);
  const typing = (target) => target.closest("input, textarea, select, [contenteditable]");
  let places = null;
  let gone = 0;

  const go = (key) => $(`.nav-link[data-key="${key}"]`)?.click();

  const collect = async () => {
    const own = [...document.querySelectorAll(".nav-link")].map((link) => ({ text: link.dataset.name, note: "page", href: link.href }));
    const url = $("#jump").dataset.url;
    const more = url ? await fetch(url, { credentials: "same-origin" }).then((answer) => (answer.ok ? answer.json() : []), () => []) : [];
    return [...own, ...more];
  };
  const show = (query) => {
    const list = $("#jump ul");
    const words = query.toLowerCase().split(/\s+/).filter(Boolean);
    const found = (places || []).filter((place) => words.every((word) => `${place.text} ${place.note}`.toLowerCase().includes(word))).slice(0, 30);
    list.replaceChildren(...found.map((place, index) => {
      const item = document.createElement("li");
      item.id = `jump-${index}`;
      item.setAttribute("role", "option");
      item.setAttribute("aria-selected", String(index === 0));
      item.dataset.href = place.href;
      item.append(place.text);
      const note = document.createElement("span");
      note.textContent = place.note;
      item.append(note);
      return item;
    }));
    if (!found.length) {
      const none = document.createElement("li");
      none.className = "hint";
      none.textContent = "Nothing is called that.";
      list.append(none);
    }
    $("#jump input").setAttribute("aria-activedescendant", found.length ? "jump-0" : "");
  };
  const openJump = async () => {
    const dialog = $("#jump");
    dialog.showModal();
    dialog.querySelector("input").value = "";
    places ||= await collect();
    show(dialog.querySelector("input").value);
  };
  const move = (by) => {
    const items = [...document.querySelectorAll("#jump li[data-href]")];
    const at = items.findIndex((item) => item.getAttribute("aria-selected") === "true");
    const next = items[Math.min(items.length - 1, Math.max(0, at + by))];
    items.forEach((item) => item.setAttribute("aria-selected", String(item === next)));
    next?.scrollIntoView({ block: "nearest" });
    $("#jump input").setAttribute("aria-activedescendant", next?.id || "");
  };
  const closeMenus = (except) => document.querySelectorAll("details.menu[open]").forEach((menu) => { if (!menu.contains(except)) menu.open = false; });

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { closeMenus(null); $(".frame")?.classList.remove("nav-open"); return; }
    if (event.target.closest("#jump")) {
      if (event.key === "ArrowDown" || event.key === "ArrowUp") { event.preventDefault(); move(event.key === "ArrowDown" ? 1 : -1); }
      if (event.key === "Enter") { event.preventDefault(); const chosen = $('#jump li[aria-selected="true"]'); if (chosen?.dataset.href) location.assign(chosen.dataset.href); }
      return;
    }
    if (typing(event.target) || event.ctrlKey || event.metaKey || event.altKey || !$("#jump")) return;
    if (Date.now() - gone < 1200) { gone = 0; go(event.key); return; }
    if (event.key === "/") { event.preventDefault(); openJump(); }
    if (event.key === "?") $("#keys").showModal();
    if (event.key === "g") gone = Date.now();
    if (event.key === "t") { const menu = $(".range-menu"); if (menu) { menu.open = true; menu.querySelector("input, a")?.focus(); event.preventDefault(); } }
  });
  document.addEventListener("input", (event) => event.target.closest("#jump") && show(event.target.value));
  document.addEventListener("click", (event) => {
    const target = event.target;
    closeMenus(target);
    if (target.closest("[data-jump]")) openJump();
    if (target.closest("[data-keys]")) $("#keys").showModal();
    if (target.closest("[data-nav]")) $(".frame").classList.toggle("nav-open");
    else if (!target.closest(".sidebar")) $(".frame")?.classList.remove("nav-open");
    const item = target.closest("#jump li[data-href]");
    if (item) location.assign(item.dataset.href);
    if (target.closest("[data-close]") || target.matches("dialog")) target.closest("dialog")?.close();
    const opener = target.closest("[data-dialog]");
    if (opener) document.getElementById(opener.dataset.dialog)?.showModal();
    if (target.closest("[data-dismiss]")) target.closest(".message, .toast")?.remove();
    const copy = target.closest("[data-copy]");
    if (copy) navigator.clipboard?.writeText(document.getElementById(copy.dataset.copy).textContent.trim()).then(() => (copy.textContent = "Copied"));
  });
  // Forms with data-submit-on-change send themselves when a choice is made; their button stays for readers without scripts.
  document.addEventListener("change", (event) => event.target.form?.matches("[data-submit-on-change]") && event.target.form.requestSubmit());
  document.addEventListener("submit", (event) => {
    const asks = event.submitter?.dataset.confirm || event.target.dataset.confirm;
    if (asks && !confirm(asks)) event.preventDefault();
  });
})();
