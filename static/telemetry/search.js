// The search bar of traces and logs: it completes the values of a filter whose name is typed, and keeps views of the
// page in this browser; shared ones are the server's. "Share" copies
// the address with fixed times.
const input = document.getElementById("search-add");
const list = document.getElementById("search-names");
const views = document.getElementById("own-views");
const MAX_VIEWS = 30;
const TIME = ["range", "from", "to", "workspace"];
const PASSING = ["page", "before", "base", "add", "part"];

// -- completion: "model = " offers the models of the time looked at
const names = [...list.options].map((option) => option.value);
const known = new Map();
const option = (value) => Object.assign(document.createElement("option"), { value });
const offer = (values) => list.replaceChildren(...values.map(option));
const valuesOf = async (name) => {
  if (!known.has(name)) {
    const url = new URL(input.dataset.values, location);
    new URLSearchParams(location.search).forEach((value, key) => {
      if (TIME.includes(key)) url.searchParams.set(key, value);
    });
    url.searchParams.set("name", name);
    const answer = await fetch(url, { credentials: "same-origin" }).catch(() => null);
    known.set(name, answer?.ok ? (await answer.json()).values : []);
  }
  return known.get(name);
};
input.addEventListener("input", async () => {
  const [, name, operator] = /^\s*([A-Za-z][\w.]*)\s*(!?=)/.exec(input.value) || [];
  if (!name || !names.includes(name)) { offer(names); return; }
  const values = await valuesOf(name);
  if (input.value.trimStart().startsWith(name)) offer(values.map((value) => `${name}${operator}${value}`));
});

// -- saved views: filters, order and time by a name
const key = `views:${location.pathname}`;
const read = () => {
  try {
    return JSON.parse(localStorage.getItem(key)) || [];
  } catch {
    return [];
  }
};
const write = (found) => {
  try {
    localStorage.setItem(key, JSON.stringify(found.slice(0, MAX_VIEWS)));
  } catch { /* storage is off: the view is not kept */ }
};
const here = () => {
  const query = new URLSearchParams(location.search);
  PASSING.forEach((name) => query.delete(name));
  return query.toString();
};
const show = () => {
  const rows = read().map(({ name, query }) => {
    const row = document.createElement("li");
    const link = document.createElement("a");
    const remove = document.createElement("button");
    Object.assign(link, { href: `${location.pathname}?${query}`, textContent: name });
    if (query === here()) link.setAttribute("aria-current", "page");
    Object.assign(remove, { type: "button", className: "link-button", textContent: "×", title: "Forget it" });
    remove.setAttribute("aria-label", `Forget the view ${name}`);
    remove.addEventListener("click", () => { write(read().filter((one) => one.name !== name)); show(); });
    row.append(link, remove);
    return row;
  });
  views.querySelector("ul").replaceChildren(...rows);
};
views.querySelector("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const field = views.querySelector("input"), name = field.value.trim();
  if (!name) return;
  write([{ name, query: here() }, ...read().filter((one) => one.name !== name)]);
  field.value = "";
  show();
});
views.hidden = false;
show();

// -- sharing
const share = document.getElementById("share");
// What is shared shows the same later too: a range that ends now becomes fixed times.
share.addEventListener("click", async () => {
  const url = new URL(location);
  const [from, to] = [document.getElementById("range-from"), document.getElementById("range-to")].map(
    (input) => input?.dataset.ms,
  );
  if (from && to && !url.searchParams.has("from")) {
    url.searchParams.delete("range");
    url.searchParams.set("from", from);
    url.searchParams.set("to", to);
  }
  await navigator.clipboard?.writeText(url.href);
  share.textContent = "Address copied";
});
