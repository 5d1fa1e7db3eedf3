// The list of traces: a region that is dragged in the chart filters by time and duration, and two chosen rows are
// compared. (A click on a dot leads to its trace: charts.js.)
import { fromWall, parseWall } from "../core/zone.js";

// A time of the chart: Plotly has the number that it was given until one drags, and a text then.
const moment = (at) => (typeof at === "number" ? fromWall(at) : parseWall(at));
const short = (seconds) => Number(seconds.toPrecision(3));

const region = (element, change) => {
  const [from, to, low, high] = ["xaxis.range[0]", "xaxis.range[1]", "yaxis.range[0]", "yaxis.range[1]"].map(
    (name) => change[name],
  );
  if (from === undefined && low === undefined) return;
  const url = new URL(location);
  const [first, last] = element.layout.xaxis.range.map(moment);
  if (!url.searchParams.has("base")) url.searchParams.set("base", element.dataset.base);
  url.searchParams.delete("range");
  url.searchParams.delete("page");
  url.searchParams.set("from", String(Math.floor(from === undefined ? first : moment(from))));
  url.searchParams.set("to", String(Math.ceil(to === undefined ? last : moment(to))));
  if (low !== undefined) {
    const others = url.searchParams.getAll("q").filter((text) => !text.startsWith("duration"));
    url.searchParams.delete("q");
    for (const text of [...others, `duration>=${short(10 ** low)}`, `duration<=${short(10 ** high)}`])
      url.searchParams.append("q", text);
  }
  location.assign(url);
};

document.addEventListener("portal:drawn", ({ target }) => {
  if (target.id !== "dots") return;
  target.dataset.base = target.layout.xaxis.range.map((at) => Math.round(moment(at))).join("-");
  target.on("plotly_relayout", (change) => region(target, change));
});

document.addEventListener("change", ({ target }) => {
  if (!target.matches('#compare input[name="id"]')) return;
  const chosen = document.querySelectorAll('#compare input[name="id"]:checked');
  if (chosen.length > 2) [...chosen].find((one) => one !== target).checked = false;
});
