// Times in the reader's zone: <time datetime="…"> shows the clock (with the day unless it is today), data-show="ago"
// the age ("2 s ago"), data-show="for" the duration until now ("23 min"), data-show="second" the clock with its
// seconds. The exact time stands in the tooltip.
import { name as timeZone, parseWall, toWall } from "./zone.js";

const UNITS = [
  [86400, "d"],
  [3600, "h"],
  [60, "min"],
  [1, "s"],
];
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long", timeZone });
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", timeZone });
const second = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit", timeZone });
const day = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short", timeZone });
const dayOfYear = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone });

const span = (seconds) => {
  const [size, unit] = UNITS.find(([length]) => seconds >= length) || UNITS[3];
  return `${Math.floor(seconds / size)} ${unit}`;
};
const text = (at, show, now) => {
  const seconds = Math.max(0, (now - at) / 1000);
  if (show === "ago") return at > now + 1000 ? `in ${span((at - now) / 1000)}` : `${span(seconds)} ago`;
  if (show === "for") return span(seconds);
  const time = (show === "second" ? second : clock).format(at);
  if (dayOfYear.format(at) === dayOfYear.format(now)) return time;
  if (Math.abs(now - at) < 300 * 86400e3) return `${day.format(at).replace(",", "")} ${time}`;
  return `${dayOfYear.format(at)} ${clock.format(at)}`;
};
const render = () => {
  const now = Date.now();
  for (const node of document.querySelectorAll("time[datetime]")) {
    const at = new Date(node.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    const wanted = text(at, node.dataset.show, now);
    if (node.textContent !== wanted) node.textContent = wanted;
    if (!node.title) node.title = full.format(at);
  }
};

// A form of local times sends Unix milliseconds, so that the server needs no zone.
document.addEventListener("submit", (event) => {
  for (const input of event.target.querySelectorAll('input[type="datetime-local"][data-unix-ms]')) {
    const at = parseWall(input.value);
    input.type = "text";
    input.hidden = true;
    input.value = Number.isNaN(at) ? "" : String(at);
  }
});
const fill = () => {
  for (const input of document.querySelectorAll('input[type="datetime-local"][data-ms]')) {
    if (input.value) continue;
    const at = Number(input.dataset.ms);
    input.value = new Date(toWall(at)).toISOString().slice(0, 16);
  }
};

document.addEventListener("DOMContentLoaded", () => {
  fill();
  render();
});
document.addEventListener("htmx:afterSettle", () => {
  fill();
  render();
});
document.addEventListener("htmx:oobAfterSwap", render);
setInterval(() => document.hidden || render(), 1000);
