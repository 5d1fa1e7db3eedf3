// The threshold of a rule's chart, as a handle on its line: dragged, or moved by the arrow keys. It writes into the
// field that data-threshold-field names, as if that had been typed, so that the chart follows.
const STEPS = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 10, PageDown: -10 };
// A chart is replaced with each answer: the new one's handle goes on where the old one was in use.
let inUse = false;

const rounded = (value, span) => Number(value.toFixed(Math.max(0, 2 - Math.floor(Math.log10(span)))));

const attach = (chart) => {
  const field = document.getElementById(chart.dataset.thresholdField);
  if (!field || field.matches(":disabled") || chart.parentElement.querySelector(".threshold-handle")) return;
  const handle = document.createElement("div");
  handle.className = "threshold-handle";
  handle.tabIndex = 0;
  handle.setAttribute("role", "slider");
  handle.setAttribute("aria-label", "Threshold");
  handle.setAttribute("aria-orientation", "vertical");
  const axis = () => chart._fullLayout.yaxis;
  const [low, high] = axis().range;
  let value = Number(chart.dataset.threshold);

  const place = () => {
    handle.style.left = `${chart.offsetLeft + chart._fullLayout._size.l + 2}px`;
    handle.style.top = `${chart.offsetTop + axis()._offset + axis().l2p(value)}px`;
    handle.setAttribute("aria-valuenow", String(value));
  };
  const move = (wanted) => {
    value = rounded(Math.min(high, Math.max(low, wanted)), high - low);
    field.value = String(value);
    place();
  };
  const say = () => field.dispatchEvent(new Event("input", { bubbles: true }));

  handle.setAttribute("aria-valuemin", String(low));
  handle.setAttribute("aria-valuemax", String(high));
  handle.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    handle.focus();
    handle.setPointerCapture(event.pointerId);
  });
  handle.addEventListener("pointermove", (event) => {
    if (!handle.hasPointerCapture(event.pointerId)) return;
    move(axis().p2l(event.clientY - chart.getBoundingClientRect().top - axis()._offset));
  });
  handle.addEventListener("pointerup", say);
  handle.addEventListener("keydown", (event) => {
    inUse = event.key in STEPS;
    if (!inUse) return;
    event.preventDefault();
    move(value + (STEPS[event.key] * (high - low)) / 100);
    say();
  });
  // Beside the chart and not in it: that is a picture to screen readers.
  chart.after(handle);
  chart.on("plotly_afterplot", place);
  place();
  if (inUse) handle.focus();
};

document.addEventListener("pointerdown", () => (inUse = false));
document.addEventListener("portal:drawn", ({ target }) => target.dataset.thresholdField && attach(target));
