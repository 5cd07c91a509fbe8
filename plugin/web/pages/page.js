// SPDX-License-Identifier: AGPL-3.0-only
// Which page is shown, by the part of the address after #. The server sent the first one.
import {afterChange} from "./api.js";
import {blocked} from "./blocked.js";
import {history, hosts} from "./history.js";
import {limits} from "./limits.js";
import {now} from "./now.js";
import {element, heading} from "./text.js";
import {person, usage} from "./usage.js";

// The address, the title, what shows it, and how often it does so by itself.
const PAGES = [["", "Now", now, 5000], ["usage", "Usage", usage], ["limits", "Limits", limits],
  ["blocked", "Blocked", blocked, 60000], ["history", "History", history], ["hosts", "Hosts", hosts],
  ["person", null, person]];
const main = document.getElementById("main");
let shown = 0, shownAt = 0;

function wanted() {
  const [name, ...rest] = location.hash.slice(1).split("/");
  const page = PAGES.find(([key]) => key === name) ?? PAGES[0];
  try {
    return [page, rest.length > 0 ? decodeURIComponent(rest.join("/")) : undefined];
  } catch {
    return [page, undefined];
  }
}

async function show() {
  const [page, argument] = wanted();
  const mine = ++shown;
  shownAt = performance.now();
  document.querySelector("nav").replaceChildren(...PAGES.filter(([, title]) => title).map(
    ([key, title]) => element("a", {href: `#${key}`, "aria-current": key === page[0] && "page"}, title)));
  let content;
  try {
    content = await page[2](argument);
  } catch (error) {
    content = [heading(page[1] ?? "Limits"), element("p", {class: "error", role: "alert"}, error.message)];
  }
  if (mine !== shown) return;  // another one was chosen meanwhile
  document.title = `${page[1] ?? argument} – Limits on ${document.body.dataset.host}`;
  const message = main.querySelector(".message");
  main.replaceChildren(...content.filter(Boolean));
  if (message) main.querySelector("h2").after(message);  // until the next one
  main.dataset.shown = page[0] || "now";
}

function isRead() {
  const isTouched = field => field.options ? field.selectedIndex > 0
    : field.value !== field.defaultValue || field.checked !== field.defaultChecked;
  const selected = document.getSelection();
  return document.hidden || document.querySelector("dialog") || main.querySelector(":focus") ||
    [...main.querySelectorAll("input, select")].some(isTouched) ||
    (selected && !selected.isCollapsed);
}

const showAndFocus = () => show().then(() => main.focus());
afterChange(showAndFocus);  // what was pressed is gone
window.addEventListener("hashchange", () => {
  main.querySelector(".message")?.remove();
  showAndFocus();
});
setInterval(() => {
  if (performance.now() - shownAt >= wanted()[0][3] && !isRead()) show();
}, 1000);
show();
