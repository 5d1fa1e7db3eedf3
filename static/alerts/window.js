// "Would it have caught this?": a stretch of a rule's chart that is dragged over, two times that are typed, or an
// incident, become the hidden fields of the window, as if they had been typed, so that the answer follows.
import { parseWall } from "../core/zone.js";

const field = (id) => document.getElementById(id);
const mark = (start, end) => {
  const from = field("window-from-ms");
  if (!from || Number.isNaN(start) || Number.isNaN(end)) return;
  from.value = start ? String(Math.round(start)) : "";
  field("window-to-ms").value = end ? String(Math.round(end)) : "";
  from.form.dispatchEvent(new Event("input", { bubbles: true }));
};

document.addEventListener("portal:drawn", ({ target }) => {
  if (!("window" in target.dataset)) return;
  target.on("plotly_relayout", (change) => {
    const [from, to] = [change["xaxis.range[0]"], change["xaxis.range[1]"]];
    if (typeof from === "string" && typeof to === "string") mark(parseWall(from), parseWall(to));
  });
});
document.addEventListener("change", ({ target }) => {
  if (target.id === "window-incident") {
    const [start, end] = target.value.split(" ").map(Number);
    mark(start || 0, end || 0);
  } else if (target.dataset.edge) {
    field(target.dataset.edge).value = "";
    const [from, to] = [field("window-from").value, field("window-to").value];
    if (from && to) mark(parseWall(from), parseWall(to));
    else if (!from && !to) mark(0, 0);
  }
});
