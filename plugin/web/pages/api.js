// SPDX-License-Identifier: AGPL-3.0-only
// What the server answers, and how it is changed. What changes something is shown before it is done
// (--dry-run); a change of limits can be undone, or it is said before that it cannot.
import {button, element} from "./text.js";

const main = document.getElementById("main");
const changeToken = document.body.dataset.change;
export const mayChange = changeToken !== "";

// A parameter may have several values; true is one without a value.
export async function get(path, parameters = {}, signal = undefined) {
  const query = new URLSearchParams(Object.entries(parameters).flatMap(([key, values]) =>
    [values].flat().map(value => [key, value === true ? "" : value]))).toString();
  return answer(await fetch(`/api/${path}${query && "?" + query}`, {signal}));
}

export async function change(path, parameters) {
  return answer(await fetch(`/api/${path}`, {
    method: "POST",
    headers: {"Content-Type": "application/json", "X-Change-Token": changeToken},
    body: JSON.stringify(parameters),
  }));
}

async function answer(response) {
  const json = response.headers.get("Content-Type")?.startsWith("application/json");
  const body = json ? await response.json() : await response.text();
  if (response.status === 401) location.reload();
  if (!response.ok) throw new Error(json ? body.error : `the server answers ${response.status}`);
  if (json && Array.isArray(body.warnings)) banner(body.warnings);
  return body;
}

// What must be known before any figure is read, on top of every page.
function banner(warnings) {
  const text = warnings.join("\n");
  const place = document.getElementById("banner");
  if (place.dataset.text === text) return;
  place.dataset.text = text;
  place.replaceChildren(...warnings.map(warning => element("p", {class: "banner"}, warning,
    mayChange && warning.startsWith("Limits are paused") &&
      button("End the pause", () => attempt(async () => tell((await change("resume", {})).text))))));
}

const events = new EventTarget();
// Calls it after each change, to show what is so now.
export const afterChange = work => events.addEventListener("change", event => {
  event.detail.push(work());
});

async function showAgain() {
  const shown = [];
  events.dispatchEvent(new CustomEvent("change", {detail: shown}));
  await Promise.all(shown);
}

// Shows what a change did, on the page as it is now.
async function tell(text, ...more) {
  await showAgain();
  message(text, false, ...more);
}

export function message(text, bad = false, ...more) {
  document.querySelector(".message")?.remove();
  main.querySelector("h2").after(element("p", {class: bad ? "message error" : "message",
    role: bad ? "alert" : "status"}, text.trim(), ...more));
}

export async function attempt(work) {
  try {
    await work();
  } catch (error) {
    message(error.message, true);
  }
}

// Without a preview: what gives mail a way.
export const changeNow = (path, parameters) =>
  attempt(async () => tell((await change(path, parameters)).text));

// Clears the counter of a row of `refused` or `usage`; `reset` is empty where everybody shares it.
export const clearCounter = row => changeNow("reset",
  {limit: String(row.id), ...(row.reset && {word: row.reset})});

// Asks with the words of --dry-run, beside what `more` puts there, then does it. `undoOf` is of undo.js.
export const changeAfterLooking = (path, parameters, undoOf, more) => doAfterLooking(path, parameters, {
  more,
  async before(preview) {
    const undo = undoOf((await get("limits")).limits, preview);
    return undo && await isTaken(undo(preview)) ? undo : null;
  },
  async act(undo) {
    const said = await change(path, parameters);
    const commands = undo && !said.text.startsWith("Nothing to change") ? undo(said.text) : [];
    return [said, commands.length > 0 && (() => carriedOut(commands))];
  }});

// Old figures may be some that no command sets.
const isTaken = commands => Promise.all(commands.filter(([path]) => path === "set").map(
  ([path, parameters]) => change(path, {...parameters, "dry-run": true}))).then(() => true, () => false);

async function carriedOut(commands) {
  const said = [];
  for (const [path, parameters] of commands) said.push((await change(path, parameters)).text);
  return `Undone.\n${said.join("\n").trim()}`;
}

async function doAfterLooking(path, parameters, {more, before, act}) {
  await attempt(async () => {
    const preview = await change(path, {...parameters, "dry-run": true});
    const undo = before && await before(preview.text);
    const words = preview.text.trim() + (undo === null ? "\nThis cannot be undone here." : "");
    if (!await confirmed("What would change", words, "Do it", more)) return;
    try {
      const [said, back] = await act(undo);
      await tell(said.text, back && button("Undo", () => attempt(async () => tell(await back()))));
    } catch (error) {
      await showAgain();  // it may be done in part
      throw error;
    }
  });
}

// What replaces a block cannot be undone by ending it.
export const block = (who, options = {}) => doAfterLooking("block", {word: who, ...options}, {
  async act() {
    const before = await blocksInForce();
    const said = await change("block", {word: who, ...options});
    const added = await blocksInForce() > before;
    return [said, added && (async () => (await change("unblock", {word: who})).text)];
  }});

const blocksInForce = async () => (await get("blocked")).blocked.filter(row => row.in_force).length;

export const unblock = who => doAfterLooking("unblock", {word: who}, {
  act: async () => [await change("unblock", {word: who})]});

// `more` fills a place in it, until its signal says that it is closed.
export function confirmed(title, text, yes, more) {
  return new Promise(resolve => {
    const closed = new AbortController();
    const place = more && element("div");
    const dialog = element("dialog", {"aria-labelledby": "dialog-title"},
      element("h2", {id: "dialog-title"}, title), element("pre", {tabindex: 0}, text.trim()), place,
      element("form", {method: "dialog", class: "row"},
        element("button", {class: "main", value: "yes"}, yes),
        element("button", {value: "no", autofocus: true}, "Cancel")));
    dialog.addEventListener("close", () => {
      closed.abort();
      resolve(dialog.returnValue === "yes");
      dialog.remove();
    });
    document.body.append(dialog);
    dialog.showModal();
    if (more) more(place, closed.signal);
  });
}
