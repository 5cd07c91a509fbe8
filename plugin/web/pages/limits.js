// SPDX-License-Identifier: AGPL-3.0-only
// The limits, as sentences, and how they are changed.
import {changeAfterLooking, get, mayChange} from "./api.js";
import {button, count, element, heading, longTable, part} from "./text.js";
import {lastWeek} from "./trial.js";
import {undoOfFigures, undoOfNew, undoOfRemoval, undoOfSwitch} from "./undo.js";

export async function limits(chosen = "") {
  const answer = await get("limits");
  const place = element("div", {});
  const field = element("input", {type: "search", id: "filter", value: chosen});
  const fill = () => {
    const text = field.value.trim().toLowerCase();
    const rows = answer.limits.filter(row => !text || String(row.id) === text ||
      row.sentence.toLowerCase().includes(text) || row.name.toLowerCase().includes(text));
    place.replaceChildren(rows.length === 0 ? element("p", {}, "There are no such limits.")
      : longTable(columns(), rows, "Limits"));
  };
  field.addEventListener("input", fill);
  fill();
  return [heading("Limits"), element("div", {class: "row"},
    element("label", {for: "filter"}, `Search in ${count(answer.limits.length, "limit")}`, field)),
    place, mayChange && newLimit()];
}

const columns = () => [
  {title: "ID", of: row => String(row.id)},
  {title: "Limit", of: row => row.sentence},
  {title: "Figures", of: row => mayChange ? figures(row) : row.limit},
  {title: "State", of: row => element("span", {class: row.state === "invalid" ? "wrong" : null},
    row.state)},
  {title: "", of: row => mayChange && element("div", {class: "row"},
    button(row.enabled ? "Off" : "On",
      () => {
        const path = row.enabled ? "off" : "on";
        changeAfterLooking(path, {word: String(row.id)}, undoOfSwitch(path, row.id));
      },
      {"aria-label": `${row.enabled ? "Off" : "On"}: limit ${row.id}`}),
    button("Remove", () => changeAfterLooking("remove", {word: String(row.id)}, undoOfRemoval(row.id)),
      {"aria-label": `Remove limit ${row.id}`}))},
];

// "20/min, 100 messages/h" is two.
const figuresIn = text => text.split(/[\s,]+(?=\d)/);

// In place: Enter or the button shows what would change.
function figures(row) {
  const field = element("input", {value: row.limit, size: 14, "aria-label": `Figures of limit ${row.id}`});
  const save = element("button", {hidden: true}, "Change");
  field.addEventListener("input", () => { save.hidden = field.value.trim() === row.limit; });
  return element("form", {class: "row", onsubmit: event => {
    event.preventDefault();
    const wanted = field.value.trim();
    if (wanted !== row.limit) {
      const word = [String(row.id), ...figuresIn(wanted)];
      changeAfterLooking("set", {word}, undoOfFigures(row.id), lastWeek({word: ["set", ...word]}));
    }
  }}, field, save);
}

const TARGETS = [["everyone", "every user of this server"], ["user", "user"], ["domain", "domain"],
  ["login", "login"], ["group", "group"], ["client", "client"], ["anyone", "anyone"]];
const PER = ["", "user", "domain", "client", "account", "login", "everyone"];
const VERDICTS = ["", "defer", "reject", "hold", "discard", "none"];

// The words of `send` and `receive`.
function newLimit() {
  const input = (id, attributes = {}) => element("input", {id, ...attributes});
  const select = (id, words) => element("select", {id}, words.map(word => Array.isArray(word)
    ? element("option", {value: word[0]}, word[1])
    : element("option", {value: word}, word || "(as usual)")));
  const label = (text, field) => element("label", {for: field.id}, text, field);
  const direction = select("new-direction", ["send", "receive"]);
  const rate = input("new-figures", {required: true, placeholder: "100/h,500/day"});
  const target = select("new-target", TARGETS);
  const name = input("new-name", {placeholder: "anna@example.org"});
  const except = input("new-except");
  const per = select("new-per", PER);
  const verdict = select("new-verdict", VERDICTS);
  const steps = input("new-then", {placeholder: "notify,block:1h"});
  const reply = input("new-message");
  const isNamed = () => !["everyone", "anyone"].includes(target.value);
  const follow = () => {
    name.required = isNamed();
    name.disabled = !isNamed();
    steps.disabled = direction.value !== "send";
  };
  target.addEventListener("change", follow);
  direction.addEventListener("change", follow);
  follow();
  return element("form", {onsubmit: event => {
    event.preventDefault();
    const wanted = {word: figuresIn(rate.value.trim())};
    wanted[target.value] = isNamed() ? name.value.trim().split(/[\s,]+/) : true;
    if (except.value.trim()) wanted.except = except.value.trim().split(/[\s,]+/);
    for (const [key, field] of [["per", per], ["verdict", verdict]]) {
      if (field.value) wanted[key] = field.value;
    }
    // What makes no difference to whom it hits.
    const more = {};
    for (const [key, field] of [["message", reply], ["then", steps]]) {
      if (!field.disabled && field.value.trim()) more[key] = field.value.trim();
    }
    changeAfterLooking(direction.value, {...wanted, ...more}, undoOfNew,
      lastWeek({...wanted, word: [direction.value, ...wanted.word]}));
  }}, part("New limit"), element("div", {class: "row"}, label("Direction", direction),
    label("Figures", rate), label("For", target), label("Name", name),
    label("Except", except), label("Counted per", per), label("When full", verdict),
    label("If someone is refused for long", steps),
    label("Text of the answer", reply),
    element("button", {class: "main"}, "See what changes")));
}
