// Draws every .chart: data-figure-url names the figure's JSON, data-figure the id of a JSON block on the page.
// A figure is Plotly's data and layout as made by usage/figures.py. Colours in it are names of CSS variables ("--series-0", or
// "--critical/.1" with an opacity), so that both themes draw the same figure; x values on a date axis are epoch milliseconds in UTC.
(() => {
  const state = new WeakMap();
  const coarse = matchMedia("(pointer: coarse)");
  const style = () => getComputedStyle(document.documentElement);
  const of = (element) => {
    if (!state.has(element)) state.set(element, { hidden: new Set(), figure: null, loadedAt: 0, busy: false });
    return state.get(element);
  };

  const colour = (name, css) => {
    const [variable, opacity] = name.split("/");
    const value = css.getPropertyValue(variable).trim();
    if (!opacity) return value;
    const [r, g, b] = [1, 3, 5].map((at) => parseInt(value.slice(at, at + 2), 16));
    return `rgba(${r},${g},${b},${opacity})`;
  };
  const resolve = (value, css) => {
    if (typeof value === "string") return value.startsWith("--") ? colour(value, css) : value;
    if (Array.isArray(value)) return typeof value[0] === "number" && typeof value[1] !== "string" ? value : value.map((item) => resolve(item, css));
    if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, resolve(item, css)]));
    return value;
  };
  const merge = (under, over) => {
    const out = { ...under };
    for (const [key, value] of Object.entries(over || {})) {
      const both = value && typeof value === "object" && !Array.isArray(value) && out[key] && typeof out[key] === "object";
      out[key] = both ? merge(out[key], value) : value;
    }
    return out;
  };

  // Plotly draws numbers on a date axis as UTC: shift them so that the clock shown is the reader's.
  const toLocal = (ms) => ms - new Date(ms).getTimezoneOffset() * 60e3;
  const fromLocal = (text) => new Date(text.replace(" ", "T")).getTime();
  const localAxis = (figure) => {
    const axis = figure.layout.xaxis || {};
    if (axis.type !== "date") return;
    for (const trace of figure.data) if (Array.isArray(trace.x)) trace.x = trace.x.map(toLocal);
    if (axis.range) axis.range = axis.range.map(toLocal);
    for (const shape of figure.layout.shapes || []) if (shape.xref === "x") { shape.x0 = toLocal(shape.x0); shape.x1 = toLocal(shape.x1); }
    for (const note of figure.layout.annotations || []) if (note.xref === "x") note.x = toLocal(note.x);
    const hours = (axis.range[1] - axis.range[0]) / 3600e3;
    axis.tickformat ||= hours <= 0.25 ? "%H:%M:%S" : hours <= 36 ? "%H:%M" : hours <= 240 ? "%a %-d" : "%-d %b";
    axis.hoverformat ||= "%a %-d %b %H:%M" + (hours <= 6 ? ":%S" : "");
  };

  const BASE = {
    autosize: true, showlegend: false, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", bargap: 0.12,
    margin: { l: 28, r: 6, t: 8, b: 20, autoexpand: true },
    font: { family: "Inter, system-ui, sans-serif", size: 11, color: "--hint" },
    hovermode: "x unified", hoverdistance: 40,
    hoverlabel: { bgcolor: "--panel", bordercolor: "--line", font: { color: "--text", size: 12 }, namelength: 40 },
    xaxis: { showgrid: false, zeroline: false, linecolor: "--line", tickcolor: "--line", ticks: "", automargin: false, spikecolor: "--third", spikethickness: 1, spikedash: "dot" },
    yaxis: { gridcolor: "--grid", zeroline: false, fixedrange: true, automargin: true, ticks: "", nticks: 6, rangemode: "tozero" },
  };
  const CONFIG = { displayModeBar: false, responsive: true, doubleClick: false, showTips: false };

  const says = (element, kind, text) => {
    element.dataset.state = kind;
    element.dataset.says = text || "";
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
    const key = JSON.stringify([named.map((trace) => [trace.name, trace.line?.color, trace.marker?.color]), [...hidden], document.documentElement.dataset.theme]);
    if (list.dataset.key === key) return;
    list.dataset.key = key;
    list.replaceChildren(...named.map((trace) => {
      const button = document.createElement("button");
      const fill = trace.legendcolor || trace.marker?.color || trace.line?.color;
      button.type = "button";
      button.innerHTML = '<svg width="9" height="9" aria-hidden="true"><rect width="9" height="9" rx="2"/></svg><span></span>';
      button.querySelector("rect").setAttribute("fill", fill);
      button.querySelector("span").textContent = trace.name;
      button.setAttribute("aria-pressed", String(!hidden.has(trace.name)));
      button.title = "Click: show or hide. Double click: only this one.";
      button.addEventListener("click", () => { hidden.has(trace.name) ? hidden.delete(trace.name) : hidden.add(trace.name); draw(element); });
      button.addEventListener("dblclick", () => {
        const alone = named.every((other) => other === trace || hidden.has(other.name));
        hidden.clear();
        if (!alone) named.forEach((other) => other !== trace && hidden.add(other.name));
        draw(element);
      });
      return button;
    }));
  };

  // What happened meanwhile (alerts that fired, prices, edited rules) is drawn over the figure.
  const marked = (layout, marks) => !marks ? layout : {
    ...layout,
    shapes: [...marks.shapes, ...(layout.shapes || [])],
    annotations: [...marks.annotations, ...(layout.annotations || [])],
  };

  const draw = (element) => {
    const own = of(element);
    if (!own.figure || !window.Plotly) return;
    const css = style();
    const figure = resolve(structuredClone({ data: own.figure.data, layout: marked(merge(BASE, own.figure.layout), own.marks) }), css);
    figure.layout.font.family = css.getPropertyValue("--font");
    localAxis(figure);
    legend(element, figure);
    for (const trace of figure.data) {
      if (own.hidden.has(trace.name)) trace.visible = false;
      delete trace.legendcolor;
    }
    figure.layout.dragmode = coarse.matches || figure.layout.xaxis.type !== "date" ? false : "zoom";
    if (element.clientWidth < 420) figure.layout.xaxis.nticks = 5;
    const empty = !own.figure.data.length;
    says(element, empty ? "empty" : "ready", empty ? own.figure.empty || "No data in this range." : "");
    if (empty) { if (element.classList.contains("js-plotly-plot")) window.Plotly.purge(element); return; }
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
  const listen = (element) => {
    resized.observe(element);
    element.on("plotly_relayout", (change) => {
      const [from, to] = [change["xaxis.range[0]"], change["xaxis.range[1]"]];
      if (typeof from === "string" && typeof to === "string" && element.dataset.zoom !== "off") zoom(fromLocal(from), fromLocal(to));
    });
    element.on("plotly_doubleclick", () => { if (new URL(location).searchParams.has("from")) history.back(); });
  };

  const load = async (element) => {
    const own = of(element);
    if (own.busy) return;
    own.busy = true;
    own.loadedAt = Date.now();
    if (!own.figure) says(element, "wait");
    try {
      const answer = await fetch(element.dataset.figureUrl, { headers: { Accept: "application/json" }, credentials: "same-origin" });
      if (answer.redirected) { location.reload(); return; }
      const body = await answer.json().catch(() => ({}));
      if (!answer.ok) throw new Error(body.error || `The portal answered ${answer.status}.`);
      own.figure = body;
      if (element.dataset.marksUrl) {
        own.marks = await fetch(element.dataset.marksUrl, { credentials: "same-origin" }).then((found) => (found.ok ? found.json() : own.marks), () => own.marks);
      }
      document.dispatchEvent(new CustomEvent("portal:heard"));
      element.dispatchEvent(new CustomEvent("portal:figure", { bubbles: true, detail: body }));
      draw(element);
    } catch (error) {
      if (error instanceof TypeError) document.dispatchEvent(new CustomEvent("portal:lost"));
      if (own.figure) element.dataset.state = "stale";
      else says(element, "error", `This panel could not be drawn: ${error instanceof TypeError ? "no connection" : error.message}`);
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
    const figure = { data: element.data, layout: { ...element.layout, paper_bgcolor: colour("--panel", style()), autosize: false, margin: { l: 60, r: 20, t: 48, b: 40 }, title: { text: name, font: { size: 15 } }, showlegend: true } };
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
      png(picture.querySelector(".chart"), (picture.querySelector("h3")?.firstChild || panel.querySelector("h2")).textContent.trim());
    }
    if (event.target.closest("[data-query]")) panel.querySelector(".query").toggleAttribute("hidden");
  });
  window.Portal = { ...window.Portal, charts: { draw: (element, figure) => { of(element).figure = figure; draw(element); }, load } };
})();
