// The zone in which times are shown: the one that the person chose (page Account), else the browser's.
export const name = document.documentElement.dataset.timeZone || undefined;
const QUARTER = 900e3;
const parts = new Intl.DateTimeFormat("en-GB", {
  timeZone: name,
  hourCycle: "h23",
  year: "numeric",
  month: "numeric",
  day: "numeric",
  hour: "numeric",
  minute: "numeric",
});
const known = new Map();

// By how many milliseconds the zone's clock is ahead of UTC at a time. Clocks are moved at quarters of an hour.
export const ahead = (ms) => {
  if (!name) return -new Date(ms).getTimezoneOffset() * 60e3;
  const quarter = Math.floor(ms / QUARTER);
  if (!known.has(quarter)) {
    const at = quarter * QUARTER;
    const of = Object.fromEntries(parts.formatToParts(at).map(({ type, value }) => [type, Number(value)]));
    known.set(quarter, Date.UTC(of.year, of.month - 1, of.day, of.hour, of.minute) - at);
  }
  return known.get(quarter);
};

// What the zone's clock shows, as the milliseconds of a UTC clock that shows the same; and back.
export const toWall = (ms) => ms + ahead(ms);
export const fromWall = (wall) => wall - ahead(wall - ahead(wall));

// The epoch milliseconds of a text such as 2026-03-02T10:07 that the zone's clock shows; NaN where it is none.
export const parseWall = (text) => {
  const [day, time] = String(text).split(/[ T]/);
  return fromWall(Date.parse(`${day}T${time || "00:00"}Z`));
};
