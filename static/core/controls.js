// What buttons and forms do by their attributes: menus and the narrow sidebar close when one clicks elsewhere or
// presses Esc, data-dialog opens a dialog, data-close closes it, data-dismiss takes a message away, data-copy copies an
// element's text, data-confirm asks before a form is sent, and a form with data-submit-on-change sends itself when a
// choice is made (its button stays for readers without scripts).
const frame = () => document.querySelector(".frame");
const closeMenus = (except) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(except)) menu.open = false;
};
const copy = async (button) => {
  await navigator.clipboard?.writeText(document.getElementById(button.dataset.copy).textContent.trim());
  button.textContent = "Copied";
};

document.addEventListener("keydown", ({ key }) => {
  if (key !== "Escape") return;
  closeMenus(null);
  frame()?.classList.remove("nav-open");
});
document.addEventListener("click", ({ target }) => {
  closeMenus(target);
  if (target.closest("[data-nav]")) frame().classList.toggle("nav-open");
  else if (!target.closest(".sidebar")) frame()?.classList.remove("nav-open");
  if (target.closest("[data-close]") || target.matches("dialog")) target.closest("dialog")?.close();
  const opener = target.closest("[data-dialog]");
  if (opener) document.getElementById(opener.dataset.dialog)?.showModal();
  if (target.closest("[data-dismiss]")) target.closest(".message, .toast")?.remove();
  const copier = target.closest("[data-copy]");
  if (copier) copy(copier);
});
document.addEventListener("change", ({ target }) => {
  if (target.form?.matches("[data-submit-on-change]")) target.form.requestSubmit();
});
document.addEventListener("submit", (event) => {
  const question = event.submitter?.dataset.confirm || event.target.dataset.confirm;
  if (question && !confirm(question)) event.preventDefault();
});
