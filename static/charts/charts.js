// Draws every .chart: data-figure-url names the figure's JSON, data-figure the id of a JSON block on the page. A figure
// is Plotly's data and layout as made by core/charts. Colours in it are names of CSS variables ("--series-0", or
// "--critical/.1" with an opacity), so that both themes draw the same figure; x values on a date axis are Unix
// milliseconds in UTC.
import { BASE, colour, localAxis, merge, resolve, withoutTags } from "./figure.js";
import { parseWall } from "../core/zone.js";

const state = new WeakMap();
const coarse = matchMedia("(pointer: coarse)");
const style = () => getComputedStyle(document.documentElement);
const of = (element) => {
  if (!state.has(element)) state.set(element, { hidden: new Set(), figure: null, loadedAt: 0, busy: false });
  return state.get(element);
};

const CONFIG = { displayModeBar: false, responsive: true, doubleClick: false, showTips: false };

// Tries of a figure that the portal has no room for at the moment.
const RETRIES = 4;

const show = (element, kind, text) => {
  element.dataset.state = kind;
  element.dataset.message = text || "";
};

const legend = (element, figure) => {
  let list = element.previousElementSibling;
  const named = figure.data.filter((trace) => trace.name && trace.showlegend !== false);
  if (!list?.matches(".legend")) {
    if (!named.length) return;
    list = document.createElement("div");
    list.className = "legend";
    element.before(list);
  }
  const { hidden } = of(element);
  const key = JSON.stringify([
    named.map((trace) => [trace.name, trace.line?.color, trace.marker?.color]),
    [...hidden],
    document.documentElement.dataset.theme,
  ]);
  if (list.dataset.key === key) return;
  list.dataset.key = key;
  list.replaceChildren(
    ...named.map((trace) => {
      const button = document.createElement("button");
      const fill = trace.legendcolor || trace.marker?.color || trace.line?.color;
      button.type = "button";
      button.innerHTML =
        '<svg width="9" height="9" aria-hidden="true"><rect width="9" height="9" rx="2"/></svg><span></span>';
      button.querySelector("rect").setAttribute("fill", fill);
      button.querySelector("span").textContent = trace.name;
      button.setAttribute("aria-pressed", String(!hidden.has(trace.name)));
      button.title = "Click: show or hide. Double click: only this one.";
      button.addEventListener("click", () => {
        hidden.has(trace.name) ? hidden.delete(trace.name) : hidden.add(trace.name);
        draw(element);
      });
      button.addEventListener("dblclick", () => {
        const alone = named.every((other) => other === trace || hidden.has(other.name));
        hidden.clear();
        if (!alone) named.forEach((other) => other !== trace && hidden.add(other.name));
        draw(element);
      });
      return button;
    }),
  );
};

// What happened meanwhile (alerts that fired, prices, edited rules) is drawn over the figure.
const annotated = (layout, found) =>
  !found
    ? layout
    : {
        ...layout,
        shapes: [...found.shapes, ...(layout.shapes || [])],
        annotations: [...found.annotations, ...(layout.annotations || [])],
      };

const draw = (element) => {
  const own = of(element);
  if (!own.figure || !window.Plotly) return;
  const css = style();
  const figure = resolve(
    structuredClone({ data: own.figure.data, layout: annotated(merge(BASE, own.figure.layout), own.annotations) }),
    css,
  );
  figure.layout.font.family = css.getPropertyValue("--font");
  localAxis(figure);
  legend(element, figure);
  for (const trace of figure.data) {
    if (own.hidden.has(trace.name)) trace.visible = false;
    delete trace.legendcolor;
  }
  withoutTags(figure);
  figure.layout.dragmode = coarse.matches || figure.layout.xaxis.type !== "date" ? false : "zoom";
  if (element.clientWidth < 420) figure.layout.xaxis.nticks = 5;
  const empty = !own.figure.data.length;
  show(element, empty ? "empty" : "ready", empty ? own.figure.empty || "No data in this range." : "");
  if (empty) {
    if (element.classList.contains("js-plotly-plot")) window.Plotly.purge(element);
    return;
  }
  const first = !element.classList.contains("js-plotly-plot");
  window.Plotly.react(element, figure.data, figure.layout, CONFIG).then(() => first && listen(element));
};

// A panel may grow when its neighbour's legend takes another line: the chart follows.
const resized = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    // A chart that was taken off the page also changes its size: to nothing.
    if (!target.isConnected) resized.unobserve(target);
    else if (target.matches(".js-plotly-plot")) window.Plotly.Plots.resize(target);
  }
});

const zoom = (from, to) => {
  const url = new URL(location);
  url.searchParams.delete("range");
  url.searchParams.set("from", String(Math.floor(from)));
  url.searchParams.set("to", String(Math.ceil(to)));
  location.assign(url);
};
// What a click on a point leads to: the address that is its custom data, else the traces of its time with the labels of
// its series.
const FACETS = {
  provider: "provider",
  model: "model",
  operation: "operation",
  tool_name: "tool",
  agent_id: "agent",
  team: "team",
  component: "component",
};
const nearest = (element, points, event) => {
  const top = event.clientY - element.getBoundingClientRect().top;
  const away = ({ y, yaxis }) => Math.abs(yaxis._offset + yaxis.d2p(y) - top);
  return points.length > 1 ? [...points].sort((one, other) => away(one) - away(other))[0] : points[0];
};
const behind = (element, point) => {
  if (String(point?.customdata).startsWith("/")) return point.customdata;
  const { labels, step } = point?.data.meta || {};
  if (!labels || !element.dataset.tracesUrl) return "";
  const url = new URL(element.dataset.tracesUrl, location);
  const at = parseWall(String(point.x)),
    half = Math.max(step, 300e3) / 2;
  for (const [label, facet] of Object.entries(FACETS))
    if (labels[label]) url.searchParams.append("q", `${facet}=${labels[label]}`);
  url.searchParams.set("from", String(Math.round(at - half)));
  url.searchParams.set("to", String(Math.round(at + half)));
  const workspace = new URL(location).searchParams.get("workspace") || labels.workspace;
  if (workspace) url.searchParams.set("workspace", workspace);
  return url;
};
const listen = (element) => {
  resized.observe(element);
  element.on("plotly_relayout", (change) => {
    const [from, to] = [change["xaxis.range[0]"], change["xaxis.range[1]"]];
    if (typeof from === "string" && typeof to === "string" && element.dataset.zoom !== "off")
      zoom(parseWall(from), parseWall(to));
  });
  element.on("plotly_doubleclick", () => {
    if (new URL(location).searchParams.has("from")) history.back();
  });
  element.on("plotly_click", ({ points, event }) => {
    const href = behind(element, nearest(element, points, event));
    if (href) location.assign(href);
  });
  element.dispatchEvent(new CustomEvent("portal:drawn", { bubbles: true }));
};

// Heavy queries take turns: the answer to who finds no place says when to come back.
const figureOf = async (url) => {
  for (let tried = 0; ; tried += 1) {
    const answer = await fetch(url, { headers: { Accept: "application/json" }, credentials: "same-origin" });
    const seconds = Number(answer.headers.get("Retry-After"));
    if (answer.status !== 503 || !seconds || tried === RETRIES) return answer;
    await new Promise((resolve) => setTimeout(resolve, 1000 * seconds * (1 + Math.random())));
  }
};

export const load = async (element) => {
  const own = of(element);
  if (own.busy) return;
  own.busy = true;
  own.loadedAt = Date.now();
  if (!own.figure) show(element, "wait");
  try {
    const answer = await figureOf(element.dataset.figureUrl);
    if (answer.redirected) {
      location.reload();
      return;
    }
    const body = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new Error(body.error || `The portal answered ${answer.status}.`);
    own.figure = body;
    if (element.dataset.annotationsUrl) {
      own.annotations = await fetch(element.dataset.annotationsUrl, { credentials: "same-origin" }).then(
        (found) => (found.ok ? found.json() : own.annotations),
        () => own.annotations,
      );
    }
    document.dispatchEvent(new CustomEvent("portal:heard"));
    element.dispatchEvent(new CustomEvent("portal:figure", { bubbles: true, detail: body }));
    draw(element);
  } catch (error) {
    if (error instanceof TypeError) document.dispatchEvent(new CustomEvent("portal:lost"));
    if (own.figure) element.dataset.state = "stale";
    else
      show(
        element,
        "error",
        `This panel could not be drawn: ${error instanceof TypeError ? "no connection" : error.message}`,
      );
  } finally {
    own.busy = false;
  }
};

const start = (root) => {
  for (const element of root.querySelectorAll(".chart")) {
    if (of(element).figure || of(element).busy) continue;
    if (element.dataset.figure) {
      of(element).figure = JSON.parse(document.getElementById(element.dataset.figure).textContent);
      draw(element);
    } else if (element.dataset.figureUrl) load(element);
  }
};

const png = async (element, name) => {
  const figure = {
    data: element.data,
    layout: {
      ...element.layout,
      paper_bgcolor: colour("--panel", style()),
      autosize: false,
      margin: { l: 60, r: 20, t: 48, b: 40 },
      title: { text: name, font: { size: 15 } },
      showlegend: true,
    },
  };
  const link = document.createElement("a");
  link.href = await window.Plotly.toImage(figure, { format: "png", width: 1200, height: 500, scale: 2 });
  link.download = `${name.toLowerCase().replace(/[^a-z0-9]+/g, "-")}.png`;
  link.click();
};

document.addEventListener("DOMContentLoaded", () => start(document));
document.addEventListener("htmx:afterSettle", (event) => start(event.target.parentNode || document));
document.addEventListener("portal:theme", () => document.querySelectorAll(".chart").forEach(draw));
document.addEventListener("portal:tick", ({ detail }) => {
  for (const element of document.querySelectorAll(".chart[data-figure-url]")) {
    if (detail.now - of(element).loadedAt >= 1000 * Number(element.dataset.every || 30)) load(element);
  }
});
document.addEventListener("click", (event) => {
  const panel = event.target.closest(".panel");
  if (event.target.closest("[data-png]")) {
    const picture = event.target.closest("[data-picture]") || panel;
    png(
      picture.querySelector(".chart"),
      (picture.querySelector("h3")?.firstChild || panel.querySelector("h2")).textContent.trim(),
    );
  }
  if (event.target.closest("[data-query]")) panel.querySelector(".query").toggleAttribute("hidden");
});
