// Live pages. An element with data-live="15", hx-get, hx-trigger="live" and hx-swap="none" fetches the page's live
// parts every 15 s: elements with an id and hx-swap-oob="true", which take the place of the old ones. Charts do
// likewise (charts.js). Nothing is fetched in a hidden tab, while paused, or for a fixed range; what is being used
// (focus, open menu) is left alone.
const loaded = new WeakMap();
const texts = new Map();
const opened = Date.now();
let failedSince = 0;
let paused = sessionStorage.getItem("paused") === "1";

const button = () => document.querySelector(".live");
const fixed = () => button()?.dataset.fixed === "1";
const show = () => {
  const node = button();
  if (!node) return;
  const state = failedSince ? "lost" : fixed() || paused ? "paused" : "live";
  const labels = { lost: "Connection lost", paused: fixed() ? "Fixed range" : "Paused", live: "Live" };
  node.dataset.state = state;
  node.querySelector(".live-text").textContent = labels[state];
  node.setAttribute("aria-pressed", String(!paused));
  node.title = failedSince
    ? `No answer since ${new Date(failedSince).toLocaleTimeString()}; what you see is older. Trying again.`
    : "";
  document.documentElement.classList.toggle("lost", Boolean(failedSince));
};
const heard = () => {
  if (failedSince) {
    failedSince = 0;
    show();
  }
};
const lost = () => {
  failedSince ||= Date.now();
  show();
};
const inUse = (element) =>
  (element.contains(document.activeElement) && document.activeElement.matches("input, select, textarea")) ||
  element.querySelector("details[open], dialog[open]");

const tick = () => {
  if (document.hidden || fixed() || (paused && !failedSince)) return;
  const now = Date.now();
  for (const element of document.querySelectorAll("[data-live]")) {
    const every = Number(element.dataset.live) * 1000;
    if (now - (loaded.get(element) || opened) < every || inUse(element)) continue;
    loaded.set(element, now);
    window.htmx.trigger(element, "live");
  }
  document.dispatchEvent(new CustomEvent("portal:tick", { detail: { now } }));
};

// A part that has not changed, or is being used, is left as it is: nothing flickers, no menu closes under the pointer.
document.addEventListener("htmx:oobBeforeSwap", (event) => {
  const { target, fragment } = event.detail;
  const text =
    fragment.textContent +
    [...fragment.querySelectorAll("[points], [href]")]
      .map((node) => node.getAttribute("points") || node.getAttribute("href"))
      .join();
  if (texts.get(target.id) === text || inUse(target)) {
    event.detail.shouldSwap = false;
    return;
  }
  texts.set(target.id, text);
});
// The login page instead of a part: the session has ended.
document.addEventListener(
  "htmx:beforeOnLoad",
  (event) => event.detail.xhr.responseURL.includes("/login/") && location.reload(),
);
document.addEventListener("htmx:afterRequest", (event) => (event.detail.successful ? heard() : undefined));
document.addEventListener("htmx:sendError", lost);
document.addEventListener("htmx:timeout", lost);
document.addEventListener("htmx:responseError", (event) => event.detail.xhr.status >= 502 && lost());
// What the reader did by a button and did not work is said; a refresh that fails shows in the header.
document.addEventListener("htmx:responseError", ({ detail }) => {
  if (detail.elt.matches("[data-live]")) return;
  const toast = document.createElement("div");
  toast.className = "toast critical";
  toast.textContent =
    { 403: "You may not do that.", 404: "It is no longer there." }[detail.xhr.status] ||
    "That did not work; nothing was changed.";
  document.getElementById("toasts").append(toast);
  setTimeout(() => toast.remove(), 8000);
});
document.addEventListener("portal:heard", heard);
document.addEventListener("portal:lost", lost);
document.addEventListener("visibilitychange", tick);
document.addEventListener("click", (event) => {
  if (!event.target.closest(".live") || fixed()) return;
  paused = !paused;
  sessionStorage.setItem("paused", paused ? "1" : "0");
  show();
  tick();
});
document.addEventListener("DOMContentLoaded", show);
document.addEventListener("htmx:afterSettle", show);
setInterval(tick, 1000);
