// The waterfall of a trace. Only the rows in sight are in the page, so that thousands of spans stay fluid. The rows
// come as JSON in the page (telemetry/pages/waterfall.py says what stands at which place); times are milliseconds since
// the trace's start. Keys: f finds, e goes to the next error, c folds to the critical path, arrows walk and fold, Enter
// opens the span, Esc shows all the time.
const HEIGHT = 26,
  AHEAD = 8,
  NARROW = 0.0005;
const $ = (id) => document.getElementById(id);
const panel = $("waterfall"),
  scroll = $("wf-scroll"),
  layer = $("wf-rows"),
  map = $("wf-map"),
  find = $("wf-find");
const state = {
  rows: [],
  shown: [],
  folded: new Set(),
  selected: 0,
  from: 0,
  to: 1,
  length: 1,
  critical: false,
  hits: new Set(),
  places: new Map(),
};

const load = (data) => {
  const chosen = state.rows[state.selected]?.id || panel.dataset.selected;
  state.rows = data.rows.map((values) => Object.fromEntries(data.columns.map((name, place) => [name, values[place]])));
  state.length = data.length || 0.001;
  if (!(state.to > state.from) || state.to === 1) [state.from, state.to] = [0, state.length];
  const foldedIds = state.foldedIds || new Set();
  state.folded = new Set(state.rows.flatMap((row, place) => (foldedIds.has(row.id) ? [place] : [])));
  state.selected = Math.max(
    0,
    state.rows.findIndex((row) => row.id === chosen),
  );
  lay();
};

// Which rows are shown: those under a folded one are not, nor what is off the critical path when only that is wanted.
const lay = () => {
  const keep = state.critical ? onPath() : null;
  state.shown = [];
  let until = -1;
  state.rows.forEach((row, place) => {
    if (place <= until) return;
    if (keep && !keep.has(place)) return;
    state.shown.push(place);
    if (state.folded.has(place)) until = place + row.below;
  });
  state.places = new Map(state.shown.map((place, at) => [place, at]));
  state.foldedIds = new Set([...state.folded].map((place) => state.rows[place].id));
  layer.style.height = `${state.shown.length * HEIGHT}px`;
  draw({ all: true });
};
const onPath = () => {
  const keep = new Set();
  state.rows.forEach((row, place) => {
    if (!row.critical.length) return;
    for (let at = place; at >= 0 && !keep.has(at); at = state.rows[at].parent) keep.add(at);
  });
  return keep;
};

const count = (value) =>
  value >= 1e6
    ? `${(value / 1e6).toPrecision(3)} M`
    : value >= 1e4
      ? `${(value / 1e3).toPrecision(3)} k`
      : value.toLocaleString("en");
const usd = (value) => (value && value < 0.01 ? `$ ${Number(value.toPrecision(2))}` : `$ ${value.toFixed(2)}`);
const took = (ms) =>
  !ms
    ? "0 s"
    : ms < 1
      ? `${Math.round(ms * 1000)} µs`
      : ms < 1000
        ? `${Number(ms.toPrecision(3))} ms`
        : ms < 120000
          ? `${Number((ms / 1000).toPrecision(3))} s`
          : `${Number((ms / 60000).toPrecision(3))} min`;
const element = (tag, className, text) => {
  const made = document.createElement(tag);
  made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
};
const percent = (ms) => (100 * (ms - state.from)) / (state.to - state.from);

const bars = (row) => {
  const box = element("div", "wf-bars");
  const left = percent(row.start),
    right = percent(row.start + row.duration);
  if (right >= 0 && left <= 100) {
    const bar = element("div", `wf-bar ${row.failed ? "failed" : row.type}`);
    const at = Math.max(0, left);
    bar.style.left = `${at}%`;
    bar.style.width = `${Math.max(Math.min(100, right) - at, 0.1)}%`;
    box.append(bar);
    const first = percent(row.start + row.first);
    if (row.first && row.first < row.duration && first >= 0 && first <= 100) {
      const notch = element("div", "wf-first");
      notch.style.left = `${first}%`;
      box.append(notch);
    }
    for (const [start, end] of row.critical) {
      const line = element("div", "wf-line");
      const first = Math.max(0, percent(start));
      line.style.left = `${first}%`;
      line.style.width = `${Math.max(0, Math.min(100, percent(end)) - first)}%`;
      if (percent(end) > 0 && first < 100) box.append(line);
    }
    const label = element("span", "wf-took", took(row.duration));
    if (right > 82) {
      label.classList.add("before");
      label.style.left = `${Math.max(at, 12)}%`;
      if (left < 12) {
        label.classList.remove("before");
        label.style.left = `${Math.max(at, 1)}%`;
        label.classList.add("within");
      }
    } else label.style.left = `${right}%`;
    box.append(label);
  }
  return box;
};

const rowElement = (place, at) => {
  const row = state.rows[place];
  const found = element("div", "wf-row");
  found.id = `wf-${row.id}`;
  found.dataset.place = place;
  found.style.transform = `translateY(${at * HEIGHT}px)`;
  found.setAttribute("role", "treeitem");
  found.setAttribute("aria-level", row.depth + 1);
  found.setAttribute("aria-posinset", at + 1);
  found.setAttribute("aria-setsize", state.shown.length);
  found.setAttribute("aria-selected", place === state.selected);
  if (row.below) found.setAttribute("aria-expanded", !state.folded.has(place));
  if (state.hits.size) found.classList.add(state.hits.has(place) ? "wf-hit" : "off");
  const name = element("div", "wf-name");
  name.style.paddingLeft = `${Math.min(row.depth, 14) * 14}px`;
  name.append(
    element("span", "wf-toggle", row.below ? (state.folded.has(place) ? "▸" : "▾") : ""),
    element("span", `kind kind-${row.type}`, row.type),
    element("b", "", row.name),
  );
  if (row.orphan) name.append(element("span", "second", "parent missing"));
  if (row.failed) name.append(element("span", "wf-wrong", row.why || "error"));
  else if (state.folded.has(place) && row.errors)
    name.append(element("span", "wf-wrong", `${row.errors} error${row.errors > 1 ? "s" : ""} below`));
  name.title = `${row.name} · ${row.who}${row.why ? ` · ${row.why}` : ""}`;
  const tokens = row.sumInput || row.sumOutput ? `${count(row.sumInput)} → ${count(row.sumOutput)}` : "";
  found.append(
    name,
    bars(row),
    element("span", "num", tokens),
    element("span", "num", row.sumCost ? usd(row.sumCost) : ""),
  );
  return found;
};

// All of it is drawn once before the next frame, however often it is asked for; sizes are read before the page is
// changed, as reading them after makes the browser lay the page out at once. Axis and map are drawn where they change.
let waiting = 0,
  whole = true;
const draw = ({ all = false } = {}) => {
  whole = whole || all;
  cancelAnimationFrame(waiting);
  waiting = requestAnimationFrame(() => {
    if (whole) {
      drawAxis();
      drawMap();
      whole = false;
    }
    const first = Math.max(0, Math.floor(scroll.scrollTop / HEIGHT) - AHEAD);
    const last = Math.min(state.shown.length, Math.ceil((scroll.scrollTop + scroll.clientHeight) / HEIGHT) + AHEAD);
    layer.replaceChildren(...state.shown.slice(first, last).map((place, index) => rowElement(place, first + index)));
    scroll.setAttribute("aria-activedescendant", layer.querySelector('[aria-selected="true"]')?.id || "");
  });
};
const drawAxis = () => {
  const axis = $("wf-axis"),
    parts = axis.clientWidth < 300 ? 2 : 5;
  axis.replaceChildren(
    ...Array.from({ length: parts + 1 }, (_, number) => {
      const mark = element("span", "", took(state.from + ((state.to - state.from) * number) / parts));
      mark.style.left = `${(100 * number) / parts}%`;
      return mark;
    }),
  );
};

const COLOURS = {
  llm: "--series-0",
  embed: "--series-0",
  tool: "--series-2",
  agent: "--series-3",
  workflow: "--series-3",
  retrieval: "--series-1",
  db: "--series-1",
  http: "--series-9",
};
const drawMap = () => {
  const css = getComputedStyle(document.documentElement),
    colours = new Map(),
    wide = (map.width = map.clientWidth * devicePixelRatio),
    high = (map.height = 40 * devicePixelRatio);
  const pen = map.getContext("2d"),
    step = Math.min(3 * devicePixelRatio, high / Math.max(state.shown.length, 1));
  state.shown.forEach((place, at) => {
    const row = state.rows[place];
    const name = row.failed ? "--critical" : COLOURS[row.type] || "--series-other";
    if (!colours.has(name)) colours.set(name, css.getPropertyValue(name));
    pen.fillStyle = colours.get(name);
    pen.fillRect(
      (row.start / state.length) * wide,
      at * step,
      Math.max((row.duration / state.length) * wide, 1),
      Math.max(step - devicePixelRatio, 0.7),
    );
  });
  const unzoomed = state.from <= 0 && state.to >= state.length;
  if (!unzoomed) {
    pen.fillStyle = css.getPropertyValue("--text");
    pen.globalAlpha = 0.16;
    pen.fillRect(0, 0, (state.from / state.length) * wide, high);
    pen.fillRect((state.to / state.length) * wide, 0, wide, high);
    pen.globalAlpha = 1;
  }
  panel.querySelector('[data-wf="whole"]').hidden = unzoomed;
};
const zoom = (from, to) => {
  [state.from, state.to] =
    to - from > state.length * NARROW ? [Math.max(0, from), Math.min(state.length, to)] : [0, state.length];
  draw({ all: true });
};

// -- choosing
let asked = 0;
const select = (place, { show = true } = {}) => {
  state.selected = place;
  for (let at = state.rows[place].parent; at >= 0; at = state.rows[at].parent) state.folded.delete(at);
  if (!state.places.has(place) || state.places.size !== state.shown.length) {
    state.critical = state.critical && onPath().has(place);
    press();
  }
  lay();
  const top = (state.places.get(place) ?? 0) * HEIGHT;
  if (show && (top < scroll.scrollTop || top + HEIGHT > scroll.scrollTop + scroll.clientHeight))
    scroll.scrollTop = top - scroll.clientHeight / 3;
  const { id } = state.rows[place];
  const url = new URL(location);
  url.searchParams.set("span", id);
  history.replaceState(history.state, "", url);
  clearTimeout(asked);
  asked = setTimeout(
    () =>
      window.htmx.ajax("GET", panel.dataset.spanUrl.replace("0000000000000000", id), {
        target: "#span-detail",
        swap: "innerHTML",
      }),
    120,
  );
};
const press = () => panel.querySelector('[data-wf="critical"]').setAttribute("aria-pressed", state.critical);
const fold = (place, folded) => {
  if (!state.rows[place].below) return;
  folded ? state.folded.add(place) : state.folded.delete(place);
  lay();
};
const step = (by) => {
  const at = state.places.get(state.selected) ?? 0;
  const next = state.shown[Math.min(state.shown.length - 1, Math.max(0, at + by))];
  if (next !== undefined) select(next);
};
const nextOf = (matches) => {
  const places = state.rows.keys();
  const all = [...places].filter(matches);
  const next = all.find((place) => place > state.selected) ?? all[0];
  if (next !== undefined) select(next);
};
const nextError = () => nextOf((place) => state.rows[place].failed);
const critical = () => {
  state.critical = !state.critical;
  press();
  lay();
};
const foldAll = () => {
  const all = state.rows.flatMap((row, place) => (row.below && row.depth > 0 ? [place] : []));
  state.folded = new Set(all.some((place) => !state.folded.has(place)) ? all : []);
  lay();
};
const search = () => {
  const words = find.value.trim().toLowerCase();
  state.hits = new Set(
    words
      ? state.rows.flatMap((row, place) =>
          `${row.name} ${row.who} ${row.type} ${row.why}`.toLowerCase().includes(words) ? [place] : [],
        )
      : [],
  );
  $("wf-found").textContent = words ? `${state.hits.size} span${state.hits.size === 1 ? "" : "s"}` : "";
  draw();
};

// -- events
scroll.addEventListener("scroll", () => draw(), { passive: true });
new ResizeObserver(() => draw({ all: true })).observe(scroll);
document.addEventListener("portal:theme", () => draw({ all: true }));
layer.addEventListener("click", (event) => {
  const row = event.target.closest(".wf-row");
  if (!row) return;
  const place = Number(row.dataset.place);
  if (event.target.closest(".wf-toggle") && state.rows[place].below) fold(place, !state.folded.has(place));
  else select(place, { show: false });
});
find.addEventListener("input", search);
find.addEventListener("keydown", (event) => {
  if (event.key === "Enter") {
    event.preventDefault();
    nextOf((place) => state.hits.has(place));
  }
  if (event.key === "Escape") {
    find.value = "";
    search();
    scroll.focus();
  }
});
panel.addEventListener("click", (event) => {
  const action = event.target.closest("[data-wf]")?.dataset.wf;
  if (action) ({ error: nextError, critical, fold: foldAll, whole: () => zoom(0, 0) })[action]();
});
document.addEventListener("keydown", (event) => {
  if (event.target.closest("input, textarea, select, dialog") || event.ctrlKey || event.metaKey || event.altKey) return;
  const keys = { f: () => find.focus(), e: nextError, c: critical, Escape: () => zoom(0, 0) };
  const row = state.rows[state.selected];
  if (event.target === scroll && row) {
    Object.assign(keys, {
      ArrowDown: () => step(1),
      ArrowUp: () => step(-1),
      PageDown: () => step(15),
      PageUp: () => step(-15),
      Home: () => step(-1e9),
      End: () => step(1e9),
      Enter: () => select(state.selected),
      ArrowRight: () => (state.folded.has(state.selected) ? fold(state.selected, false) : row.below && step(1)),
      ArrowLeft: () =>
        row.below && !state.folded.has(state.selected)
          ? fold(state.selected, true)
          : row.parent >= 0 && select(row.parent),
    });
  }
  if (keys[event.key]) {
    event.preventDefault();
    keys[event.key]();
  }
});
let grip = null;
const timeAt = (event) => ((event.clientX - map.getBoundingClientRect().left) / map.clientWidth) * state.length;
map.addEventListener("pointerdown", (event) => {
  grip = timeAt(event);
  map.setPointerCapture(event.pointerId);
});
map.addEventListener("pointerup", (event) => {
  if (grip === null) return;
  const end = timeAt(event);
  zoom(Math.min(grip, end), Math.max(grip, end));
  grip = null;
});
map.addEventListener("dblclick", () => zoom(0, 0));

// While the trace still arrives its head is fetched again and says how many spans there are.
document.addEventListener("htmx:afterSettle", async (event) => {
  if (
    event.target.id !== "trace-state" ||
    Number(event.target.querySelector("[data-count]")?.dataset.count) === state.rows.length
  )
    return;
  const query = new URLSearchParams([...new URLSearchParams(location.search), ["part", "data"]]);
  const answer = await fetch(`?${query}`, { credentials: "same-origin" });
  if (answer.ok) load(await answer.json());
});

load(JSON.parse($("wf-data").textContent));
const place = state.places.get(state.selected) ?? 0;
if ((place + 1) * HEIGHT > scroll.clientHeight) scroll.scrollTop = (place - 4) * HEIGHT;
