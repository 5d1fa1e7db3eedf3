// Logs: live tail puts new lines above the others, and stops when one scrolls away from them.
const lines = document.getElementById("log-lines"),
  button = document.getElementById("tail");
const EVERY = 2000,
  MAX_LINES = 500;
let timer = 0,
  busy = false;

const on = () => button?.getAttribute("aria-pressed") === "true";
const text = (value) => {
  button.querySelector("span:last-child").textContent = value;
};
const set = (value, label) => {
  button.setAttribute("aria-pressed", String(value));
  text(label);
  clearInterval(timer);
  if (value) {
    timer = setInterval(tail, EVERY);
    tail();
  }
};
const tail = async () => {
  if (busy || document.hidden) return;
  busy = true;
  try {
    const since = lines.querySelector(".log-line")?.dataset.at || 0;
    const answer = await fetch(`${lines.dataset.tail}&since=${since}`, { credentials: "same-origin" });
    if (!answer.ok || !on()) return;
    const found = document.createElement("template");
    found.innerHTML = await answer.text();
    const fresh = [...found.content.querySelectorAll(".log-line")].filter((line) => !document.getElementById(line.id));
    fresh.forEach((line) => line.classList.add("fresh"));
    lines.prepend(...fresh);
    if (fresh.length) window.htmx.process(lines);
    [...lines.querySelectorAll(".log-line")].slice(MAX_LINES).forEach((line) => line.remove());
  } catch {
    document.dispatchEvent(new CustomEvent("portal:lost"));
  } finally {
    busy = false;
  }
};

button?.addEventListener("click", () => (on() ? set(false, "Live tail") : set(true, "Following")));
addEventListener(
  "wheel",
  ({ deltaY }) => {
    if (on() && deltaY > 0) set(false, "Live tail stopped: go on");
  },
  { passive: true },
);
addEventListener(
  "touchmove",
  () => {
    if (on()) set(false, "Live tail stopped: go on");
  },
  { passive: true },
);
addEventListener("keydown", ({ key }) => {
  if (on() && ["ArrowDown", "PageDown", "End"].includes(key)) set(false, "Live tail stopped: go on");
});
