// SPDX-License-Identifier: AGPL-3.0-only
// Elements and words of the page. Names come from strangers: they are only ever text here, never
// HTML, and what a terminal would be told by them is shown instead.

const unsafe = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;
const visible = text => text.replace(unsafe,
  character => `\\u${character.codePointAt(0).toString(16).padStart(4, "0")}`);

// element("td", {class: "number"}, "5", another)
export function element(name, attributes = {}, ...children) {
  const out = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) out.addEventListener(key.slice(2), value);
    else out.setAttribute(key, value === true ? "" : String(value));
  }
  for (const child of children.flat()) {
    if (child === undefined || child === null || child === false) continue;
    out.append(child instanceof Node ? child : visible(String(child)));
  }
  return out;
}

export const button = (text, onclick, attributes = {}) =>
  element("button", {type: "button", onclick, ...attributes}, text);
export const heading = text => element("h2", {}, text);
export const part = text => element("h3", {}, text);
// To the page of a person, domain or client; `text` is how the name is shown.
export const link = (who, text = who) =>
  element("a", {href: `#person/${encodeURIComponent(who)}`}, text);

// Columns: {title, number, of: row => text or element}. The first one names the row. The roles are said
// since a narrow window shows the cells below each other, which is no table to a browser.
export function table(columns, rows, caption) {
  const head = columns.map(column => column.title
    ? element("th", {scope: "col", role: "columnheader", class: column.number && "number"}, column.title)
    : element("td", {role: "cell"}));
  const body = rows.map(row => element("tr", {role: "row"}, columns.map((column, at) => {
    const content = column.of(row);
    const attributes = {class: column.number && "number", role: "cell", "data-name": column.title || null};
    return at === 0 ? element("th", {scope: "row", role: "rowheader"}, content) : element("td", attributes, content);
  })));
  return element("div", {class: "scroll", tabindex: 0, role: "region", "aria-label": caption},
    element("table", {role: "table"}, element("caption", {class: "hidden"}, caption),
      element("thead", {role: "rowgroup"}, element("tr", {role: "row"}, head)),
      element("tbody", {role: "rowgroup"}, body)));
}

// The first ones, and a button for the others: thousands of rows would take seconds.
export function longTable(columns, rows, caption, most = 200) {
  if (rows.length <= most) return table(columns, rows, caption);
  const place = element("div", {}, table(columns, rows.slice(0, most), caption),
    button(`Show all ${number(rows.length)}`,
      () => place.replaceChildren(table(columns, rows, caption))));
  return place;
}

const grouped = new Intl.NumberFormat();
export const number = value => grouped.format(Math.round(value));
export const count = (value, noun) => `${number(value)} ${noun}${value === 1 ? "" : "s"}`;

function serverTime(at) {
  const zone = document.body.dataset.zone;
  try {
    return at.toLocaleString([], {timeZone: zone || "UTC", dateStyle: "medium",
      timeStyle: "long"}) + " on the server";
  } catch {
    return at.toISOString();
  }
}

// Of seconds since 1970: in the browser's zone, with the day if it is another one; the server's time
// as its title.
export function time(seconds) {
  const at = new Date(seconds * 1000);
  const today = new Date().toDateString() === at.toDateString();
  const text = today ? at.toLocaleTimeString([], {hour: "2-digit", minute: "2-digit"})
    : at.toLocaleString([], {month: "short", day: "numeric", hour: "2-digit", minute: "2-digit"});
  return element("time", {datetime: at.toISOString(), title: serverTime(at)}, text);
}

// "in 3 min"; "now" if it is past.
export function until(seconds, now) {
  const left = Math.ceil(seconds - now);
  if (!(left > 0)) return "now";
  if (left < 60) return `in ${left} s`;
  if (left < 3600) return `in ${Math.ceil(left / 60)} min`;
  const minutes = Math.ceil(left / 60);
  if (left < 86400) return `in ${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return `in ${count(Math.ceil(left / 86400), "day")}`;
}

// "15 of 10/h"; of a size, which is counted in KiB, only the share.
export const usedOf = (used, amount, rate) => /^\d+[KMG]/.test(rate)
  ? `${number(100 * used / amount)} % of ${rate}` : `${number(used)} of ${rate}`;

// How much of it is used.
export const meter = percent => element("meter", {min: 0, max: 100, high: 80, low: 80, optimum: 0,
  value: Math.min(100, percent), "aria-label": `${Math.round(percent)} percent`});

// A bar for each value, {value, title, bad}, with the value as its title.
export function bars(values, label, className = "bars") {
  const space = "http://www.w3.org/2000/svg";
  const make = (name, attributes) => {
    const out = document.createElementNS(space, name);
    for (const [key, value] of Object.entries(attributes)) out.setAttribute(key, value);
    return out;
  };
  const most = Math.max(1, ...values.map(one => one.value));
  const svg = make("svg", {class: className, viewBox: `0 0 ${Math.max(1, values.length) * 10} 100`,
    preserveAspectRatio: "none", role: "img", "aria-label": label});
  values.forEach((one, at) => {
    const height = one.value === 0 ? 0 : Math.max(2, 100 * one.value / most);
    const bar = make("rect", {x: at * 10 + 1, width: 8, y: 100 - height, height});
    if (one.bad) bar.setAttribute("class", "bad");
    const title = make("title", {});
    title.textContent = one.title;
    bar.append(title);
    svg.append(bar);
  });
  return svg;
}

// {value, title} for each hour of the last day, of the steps of `history`.
export function hoursOf(answer) {
  const out = [];
  const steps = new Map(answer.steps.map(step => [Math.floor(step.begin / 3600), step]));
  for (let hour = Math.floor(answer.now / 3600) - 23; hour <= answer.now / 3600; ++hour) {
    const step = steps.get(hour) ?? {messages: 0, refused: 0};
    out.push({value: step.messages + step.refused, bad: step.refused > 0,
      title: `${new Date(hour * 3600000).toLocaleTimeString([], {timeStyle: "short"})}: ` +
        `${count(step.messages, "message")}, ${number(step.refused)} refused`});
  }
  return out;
}
