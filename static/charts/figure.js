// What Plotly is given: a figure with the theme's colours, in the reader's time zone, its names as text.
import { toWall } from "../core/zone.js";

export const colour = (name, css) => {
  const [variable, opacity] = name.split("/");
  const value = css.getPropertyValue(variable).trim();
  if (!opacity) return value;
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(value.slice(at, at + 2), 16));
  return `rgba(${r},${g},${b},${opacity})`;
};
export const resolve = (value, css) => {
  if (typeof value === "string") return value.startsWith("--") ? colour(value, css) : value;
  if (Array.isArray(value))
    return typeof value[0] === "number" && typeof value[1] !== "string"
      ? value
      : value.map((item) => resolve(item, css));
  if (value && typeof value === "object")
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, resolve(item, css)]));
  return value;
};
export const merge = (under, over) => {
  const out = { ...under };
  for (const [key, value] of Object.entries(over || {})) {
    const both =
      value && typeof value === "object" && !Array.isArray(value) && out[key] && typeof out[key] === "object";
    out[key] = both ? merge(out[key], value) : value;
  }
  return out;
};

// Plotly draws numbers on a date axis as UTC: shift them so that the clock shown is the reader's.
export const localAxis = (figure) => {
  const axis = figure.layout.xaxis || {};
  if (axis.type !== "date") return;
  for (const trace of figure.data) if (Array.isArray(trace.x)) trace.x = trace.x.map(toWall);
  if (axis.range) axis.range = axis.range.map(toWall);
  for (const shape of figure.layout.shapes || [])
    if (shape.xref === "x") {
      shape.x0 = toWall(shape.x0);
      shape.x1 = toWall(shape.x1);
    }
  for (const note of figure.layout.annotations || []) if (note.xref === "x") note.x = toWall(note.x);
  const hours = (axis.range[1] - axis.range[0]) / 3600e3;
  axis.tickformat ||= hours <= 0.25 ? "%H:%M:%S" : hours <= 36 ? "%H:%M" : hours <= 240 ? "%a %-d" : "%-d %b";
  axis.hoverformat ||= "%a %-d %b %H:%M" + (hours <= 6 ? ":%S" : "");
};

// Names come from records. Plotly reads tags in them, and draws <b> or <span> with an inline style, which the policy
// forbids: they are text.
const plain = (value) => {
  if (Array.isArray(value)) return value.map(plain);
  return typeof value === "string" ? value.replace(/&/g, "&amp;").replace(/</g, "&lt;") : value;
};
export const withoutTags = (figure) => {
  for (const trace of figure.data)
    for (const key of ["name", "text", "x", "y"]) if (key in trace) trace[key] = plain(trace[key]);
  for (const axis of [figure.layout.xaxis, figure.layout.yaxis])
    if (axis?.ticktext) axis.ticktext = plain(axis.ticktext);
  for (const note of figure.layout.annotations || []) note.text = plain(note.text);
};

export const BASE = {
  autosize: true,
  showlegend: false,
  paper_bgcolor: "rgba(0,0,0,0)",
  plot_bgcolor: "rgba(0,0,0,0)",
  bargap: 0.12,
  margin: { l: 28, r: 6, t: 8, b: 20, autoexpand: true },
  font: { family: "Inter, system-ui, sans-serif", size: 11, color: "--hint" },
  hovermode: "x unified",
  hoverdistance: 40,
  hoverlabel: { bgcolor: "--panel", bordercolor: "--line", font: { color: "--text", size: 12 }, namelength: 40 },
  xaxis: {
    showgrid: false,
    zeroline: false,
    linecolor: "--line",
    tickcolor: "--line",
    ticks: "",
    automargin: false,
    spikecolor: "--third",
    spikethickness: 1,
    spikedash: "dot",
  },
  yaxis: {
    gridcolor: "--grid",
    zeroline: false,
    fixedrange: true,
    automargin: true,
    ticks: "",
    nticks: 6,
    rangemode: "tozero",
  },
};
