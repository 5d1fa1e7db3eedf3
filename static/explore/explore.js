// The editor of Explore: colours under the text, completion, the check of what is typed, and where the focus is after a
// button has changed the page in place. Without this script the form works too. An editor is a textarea over a <pre>
// with the same text in colours; metrics and functions come with the page's own list, labels and their values from the
// Prometheus API, for the metric whose braces the cursor is in.
const TOKEN =
  /(?<space>\s+|#[^\n]*)|(?<text>"(?:[^"\\\n]|\\.)*"?|'(?:[^'\\\n]|\\.)*'?|`[^`]*`?)|(?<number>\d[\w.]*)|(?<word>[a-zA-Z_:][\w:.]*)|(?<operator>[-+*/%^<>=!@,:~]+)|(?<other>[^])/g;
const KEYWORDS = new Set([
  "by",
  "without",
  "on",
  "ignoring",
  "group_left",
  "group_right",
  "bool",
  "offset",
  "and",
  "or",
  "unless",
  "atan2",
]);
const MAX_SHOWN = 60;
const form = () => document.getElementById("explore-form");
const data = form().dataset;
const areas = () => [...form().querySelectorAll(".editor textarea")];
const known = { metrics: [], functions: [], aggregations: [] };
const asked = new Map();
let open = null;
const loaded = fetch(data.completionUrl, { credentials: "same-origin" })
  .then((answer) => answer.json())
  .then(
    (names) => {
      Object.assign(known, names);
      areas().forEach(paint);
    },
    () => {},
  );

const tokens = (text) =>
  [...text.matchAll(TOKEN)].map((found) => {
    const [kind] = Object.entries(found.groups).find(([, value]) => value !== undefined);
    return { kind, text: found[0], at: found.index, end: found.index + found[0].length };
  });
const named = (list, name) => list.some((one) => one.name === name);
const styleOf = ({ kind, text }) => {
  if (kind === "word") {
    if (KEYWORDS.has(text) || named(known.functions, text) || named(known.aggregations, text)) return "tok-function";
    return named(known.metrics, text) ? "tok-metric" : "";
  }
  return { text: "tok-text", number: "tok-number", operator: "tok-operator" }[kind] || "";
};

// -- colours, and the highlight under what is wrong
const paint = (area) => {
  const under = area.previousElementSibling;
  const box = document.getElementById(area.getAttribute("aria-describedby"))?.querySelector("[data-position]");
  const wrong = box && area.dataset.checked === area.value ? Number(box.dataset.position) : -1;
  const nodes = tokens(area.value).map((token) => {
    const span = document.createElement("span");
    span.className = `${styleOf(token)}${wrong >= token.at && wrong < token.end ? " tok-wrong" : ""}`;
    span.textContent = token.text;
    return span;
  });
  if (wrong >= area.value.length) {
    const end = document.createElement("span");
    end.className = "tok-wrong";
    end.textContent = "\u00a0";
    nodes.push(end);
  }
  under.replaceChildren(...nodes, "\n");
  area.parentElement.classList.add("lit");
};

const check = async (area) => {
  if (!area.isConnected) return;
  const text = area.value;
  const place = document.getElementById(area.getAttribute("aria-describedby"));
  const answer = await fetch(`${data.checkUrl}?${new URLSearchParams({ q: text })}`, {
    credentials: "same-origin",
  }).catch(() => null);
  if (!answer?.ok || answer.redirected || area.value !== text || !area.isConnected) return;
  place.innerHTML = await answer.text();
  area.dataset.checked = text;
  area.toggleAttribute("aria-invalid", false);
  if (place.firstElementChild) area.setAttribute("aria-invalid", "true");
  paint(area);
};
const timers = new WeakMap();
// No error for an open bracket while its content is being chosen.
const soon = (area) => {
  clearTimeout(timers.get(area));
  timers.set(
    area,
    setTimeout(() => (open?.area === area ? soon(area) : check(area)), 700),
  );
};

// -- what can stand at the cursor
const api = async (path, metric) => {
  const params = new URLSearchParams(data.workspace ? { workspace: data.workspace } : {});
  if (metric) params.append("match[]", metric);
  const url = `/api/v1/${path}?${params}`;
  if (!asked.has(url)) {
    asked.set(
      url,
      fetch(url, { credentials: "same-origin" })
        .then((answer) => (answer.ok ? answer.json() : { data: [] }))
        .then((body) => body.data)
        .catch(() => []),
    );
  }
  return asked.get(url);
};
const labels = async (metric) =>
  (await api("labels", metric))
    .filter((name) => name !== "__name__")
    .map((name) => ({ name, note: "label", help: "" }));

// Where the cursor is: the brackets around it, and the token that is being typed.
const place = (text, cursor) => {
  const before = tokens(text.slice(0, cursor)).filter((token) => token.kind !== "space" || token.text[0] === "#");
  const last = before.at(-1);
  const typing = last && last.end === cursor && (last.kind === "word" || last.kind === "text") ? before.pop() : null;
  const stack = [];
  before.forEach((token, index) => {
    if ("({[".includes(token.text)) stack.push(index);
    else if (")}]".includes(token.text)) stack.pop();
  });
  const opened = stack.length ? stack.at(-1) : -1;
  return {
    before,
    typing,
    bracket: opened < 0 ? "" : before[opened].text,
    ahead: opened < 0 ? "" : before[opened - 1]?.text || "",
    last: before.at(-1)?.text || "",
  };
};
// The first metric after the cursor or the last one before it: that of an aggregation `by (…)` may stand on either
// side.
const metricNear = (text, cursor) => {
  const metrics = tokens(text).filter((token) => token.kind === "word" && named(known.metrics, token.text));
  return (
    (metrics.find((token) => token.at >= cursor) || metrics.filter((token) => token.at < cursor).at(-1))?.text || ""
  );
};
const candidates = async (area) => {
  await loaded;
  const cursor = area.selectionStart;
  const { before, typing, bracket, ahead, last } = place(area.value, cursor);
  const typed = typing?.text || "";
  if (bracket === "{") {
    const metric = named(known.metrics, ahead) ? ahead : "";
    if (/^[=!~]+$/.test(last)) {
      const label = before.at(-2)?.text || "";
      const values = await api(`label/${encodeURIComponent(label)}/values`, metric);
      const closed = /^["']/.test(area.value.slice(cursor));
      return {
        typed: typed.replace(/^["'`]/, ""),
        from: typing ? typing.at : cursor,
        list: values.map((name) => ({
          name,
          note: label,
          help: "",
          insert: `${JSON.stringify(name)}`,
          skip: closed ? 1 : 0,
        })),
      };
    }
    if (typing?.kind === "text") return null;
    return {
      typed,
      from: cursor - typed.length,
      list: (await labels(metric)).map((one) => ({ ...one, insert: `${one.name}="`, again: true })),
    };
  }
  if (typing?.kind === "text" || bracket === "[") return null;
  if (bracket === "(" && ["by", "without", "on", "ignoring", "group_left", "group_right"].includes(ahead)) {
    return {
      typed,
      from: cursor - typed.length,
      list: (await labels(metricNear(area.value, cursor))).map((one) => ({ ...one, insert: one.name })),
    };
  }
  const list = [
    ...known.metrics.map((one) => ({ ...one, insert: one.name })),
    ...known.aggregations.map((one) => ({ ...one, insert: `${one.name}(`, skip: area.value[cursor] === "(" ? 1 : 0 })),
    ...known.functions.map((one) => ({ ...one, insert: `${one.name}(`, skip: area.value[cursor] === "(" ? 1 : 0 })),
  ];
  return { typed, from: cursor - typed.length, list };
};
// Names that begin with what was typed first, then those that hold it, then those whose help does.
const ranked = (list, typed) => {
  const wanted = typed.toLowerCase();
  const rank = ({ name, help }) => {
    const at = name.toLowerCase().indexOf(wanted);
    if (at === 0) return 0;
    if (at > 0) return name[at - 1] === "_" ? 1 : 2;
    return wanted.length > 2 && help.toLowerCase().includes(wanted) ? 3 : 4;
  };
  return list
    .map((one) => [rank(one), one])
    .filter(([order]) => order < 4)
    .sort((a, b) => a[0] - b[0])
    .slice(0, MAX_SHOWN)
    .map(([, one]) => one);
};

// -- the list of completions
const close = () => {
  open?.element.remove();
  open?.area.removeAttribute("aria-activedescendant");
  open?.area.removeAttribute("aria-controls");
  open = null;
};
const select = (index) => {
  const items = [...open.element.children];
  open.at = (index + items.length) % items.length;
  items.forEach((item, at) => item.setAttribute("aria-selected", String(at === open.at)));
  items[open.at].scrollIntoView({ block: "nearest" });
  open.area.setAttribute("aria-activedescendant", items[open.at].id);
};
const show = (area, { from, list, typed }) => {
  close();
  if (!list.length || (list.length === 1 && list[0].name === typed)) return;
  const element = document.createElement("ul");
  element.className = "completion";
  element.id = "explore-completion";
  element.setAttribute("role", "listbox");
  element.setAttribute("aria-label", "Completions");
  element.append(
    ...list.map((one, index) => {
      const item = document.createElement("li");
      item.id = `completion-${index}`;
      item.setAttribute("role", "option");
      const [name, note, help] = ["b", "span", "small"].map((tag) => document.createElement(tag));
      name.textContent = one.name;
      note.textContent = one.note;
      help.textContent = one.help;
      item.append(name, note, help);
      item.addEventListener("mousedown", (event) => {
        event.preventDefault();
        take(index);
      });
      return item;
    }),
  );
  area.parentElement.append(element);
  open = { area, element, list, from, at: 0 };
  // A hidden copy of the text up to the word says where on the page it begins.
  const range = document.createRange();
  const anchor = document.createElement("span");
  const under = area.previousElementSibling;
  const copy = under.cloneNode(false);
  copy.append(area.value.slice(0, from), anchor);
  under.after(copy);
  range.selectNode(anchor);
  const left = Math.min(anchor.offsetLeft, Math.max(0, area.offsetWidth - element.offsetWidth));
  element.style.left = `${Math.max(0, left)}px`;
  element.style.top = `${anchor.offsetTop + 22}px`;
  copy.remove();
  area.setAttribute("aria-controls", element.id);
  select(0);
};
const suggest = async (area, always) => {
  const [text, cursor] = [area.value, area.selectionStart];
  const found = area.selectionStart === area.selectionEnd ? await candidates(area) : null;
  if (area.value !== text || area.selectionStart !== cursor || document.activeElement !== area) return;
  if (
    !found ||
    (!always && !found.typed && !/[{,("=~]\s*$/.test(text.slice(0, cursor))) ||
    (!always && !found.typed && found.list.length > 200)
  )
    return close();
  show(area, { ...found, list: ranked(found.list, found.typed) });
};
const take = (index) => {
  const { area, list, from } = open;
  const { insert, again, skip = 0 } = list[index];
  close();
  area.focus();
  area.setSelectionRange(from, area.selectionStart + skip);
  // insertText keeps the browser's undo.
  if (!document.execCommand("insertText", false, insert)) area.setRangeText(insert, from, area.selectionEnd, "end");
  paint(area);
  soon(area);
  if (again) suggest(area, true);
};

// -- events
const run = () => document.getElementById("explore-run").click();
const keys = (event, area) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    close();
    run();
    return;
  }
  if (event.key === " " && event.ctrlKey) {
    event.preventDefault();
    suggest(area, true);
    return;
  }
  if (!open) return;
  const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 };
  if (event.key in moves) {
    event.preventDefault();
    select(open.at + moves[event.key]);
  } else if ((event.key === "Enter" || event.key === "Tab") && !event.shiftKey) {
    event.preventDefault();
    take(open.at);
  } else if (event.key === "Escape") {
    event.preventDefault();
    event.stopPropagation();
    close();
  }
};
const inEditor = (name, react) =>
  document.addEventListener(
    name,
    (event) => {
      const area = event.target.closest?.(".editor textarea");
      if (area) react(event, area);
    },
    true,
  );
inEditor("input", (event, area) => {
  paint(area);
  soon(area);
  suggest(area, false);
});
inEditor("keydown", keys);
inEditor("blur", (event, area) => {
  if (open?.area === area) close();
});
inEditor("scroll", (event, area) => {
  area.previousElementSibling.scrollTop = area.scrollTop;
});
const begin = () =>
  areas()
    .filter((area) => area.dataset.checked === undefined)
    .forEach((area) => {
      area.setAttribute("aria-autocomplete", "list");
      area.setAttribute("aria-haspopup", "listbox");
      area.dataset.checked = area.value;
      paint(area);
    });
begin();
// A suggestion takes the place of the text and runs.
document.addEventListener("click", (event) => {
  const link = event.target.closest("[data-suggestion]");
  if (!link) return;
  event.preventDefault();
  const area = link.closest(".explore-query").querySelector("textarea");
  area.value = link.dataset.suggestion;
  run();
});

// -- a button changes the page in place: what was typed while it was on its way stays, and the keyboard stays where it
// was
let change = null;
const ours = (event) => event.detail.target?.matches(".page");
document.addEventListener("htmx:configRequest", (event) => {
  if (!ours(event)) return;
  // A button that was pressed before this one and is not answered yet counts too.
  const actions = [...(change?.actions || []), event.detail.parameters.do || "run"];
  event.detail.parameters.do = actions;
  change = { actions, sent: areas().map((area) => area.value) };
});
document.addEventListener("htmx:beforeSwap", (event) => {
  if (!ours(event) || !change) return;
  close();
  Object.assign(change, { typed: areas().map((area) => area.value), focus: document.activeElement });
});
document.addEventListener("htmx:afterSettle", (event) => {
  if (!ours(event) || !change?.typed) return;
  const { actions, sent, typed, focus } = change;
  change = null;
  const gone = actions.filter((action) => action.startsWith("remove-")).map((action) => action.charCodeAt(7) - 65);
  const now = areas();
  typed.forEach((text, place) => {
    const area = now[place - gone.filter((other) => other < place).length];
    if (!gone.includes(place) && text !== sent[place] && area) {
      area.value = text;
      soon(area);
    }
  });
  begin();
  const last = actions.at(-1);
  if (focus?.matches("input, textarea") || !/^(add|remove)/.test(last))
    document.getElementById(focus?.id)?.focus({ preventScroll: true });
  else now[last === "add" ? now.length - 1 : Math.min(gone.at(-1), now.length - 1)].focus();
});
for (const failed of ["htmx:responseError", "htmx:sendError", "htmx:timeout"])
  document.addEventListener(failed, () => {
    change = null;
  });

document.addEventListener("portal:figure", ({ detail, target }) => {
  const part = target.closest(".explore-graph");
  if (!part.matches(".one-unit")) document.getElementById("explore-unit").textContent = detail.unit || "";
  const list = part.querySelector(".explore-problems");
  // What is wrong with a text stands under its editor already.
  const problems = Object.entries(detail.problems || {}).filter(
    ([letter]) => !document.querySelector(`#wrong-${letter} > *`),
  );
  list.hidden = !problems.length;
  list.replaceChildren(
    ...problems.map(([letter, message]) => {
      const item = document.createElement("li");
      item.className = "message error";
      item.textContent = `${letter}: ${message}`;
      return item;
    }),
  );
});
