// SPDX-License-Identifier: AGPL-3.0-only
// Who is blocked, who stands out, and how an account or client is blocked.
import {block, get, mayChange, unblock} from "./api.js";
import {button, element, heading, link, longTable, number, part, table, time} from "./text.js";

const SPANS = [["", "until unblocked"], ["1h", "1 hour"], ["8h", "8 hours"], ["1day", "1 day"],
  ["7day", "7 days"]];

export async function blocked(whom = "") {
  const [now, past] = await Promise.all([get("blocked"), get("blocked", {past: true, since: "7day"})]);
  const place = element("div", {}, element("p", {class: "dim"}, "Counting…"));
  fillSignals(place);
  return [heading("Blocked"),
    now.blocked.length === 0 ? element("p", {}, "No one is blocked.") : blocks(now),
    mayChange && blockForm(whom),
    part("Who stands out"), place,
    part("Blocked and unblocked in the last week"), past.past.length === 0
      ? element("p", {}, "No one was.") : longTable([
        {title: "Who", of: row => link(row.who)},
        {title: "What", of: row => row.blocked ? "blocked" : "unblocked"},
        {title: "When", of: row => time(row.at)},
        {title: "By", of: row => row.by || "unknown"},
        {title: "Why", of: row => row.command}], past.past, "Blocked and unblocked", 50)];
}

// It may read a month of messages, which is not to keep the page waiting.
async function fillSignals(place) {
  try {
    const {signals} = await get("signals");
    place.replaceChildren(table([
      {title: "Signal", of: row => row.name},
      {title: "From", number: true, of: row => row.on ? number(row.amount) : "off"},
      {title: "Then", of: row => row.then},
      {title: "Most now", of: row => row.most.length === 0 ? "no one" : element("span", {},
        row.most.map((one, at) => [at > 0 && ", ", link(one.who), ` ${number(one.reached)}`,
          one.usual > 0 && ` (usually ${number(one.usual)})`]).flat())},
    ], signals, "Signals"),
    element("p", {class: "dim"}, "On the server, 'carbonio-limits signal' sets them."));
  } catch (error) {
    place.replaceChildren(element("p", {class: "error"}, error.message));
  }
}

const blocks = ({blocked, now}) => table([
  {title: "Who", of: row => link(row.who)},
  {title: "Since", of: row => time(row.since)},
  {title: "Until", of: row => row.until === null ? "unblocked" : time(row.until)},
  {title: "By", of: row => row.by},
  {title: "State", of: row => row.in_force ? row.holds ? "holds mail" : "in force"
    : row.until !== null && row.until <= now ? "over" : "not in force"},
  {title: "", of: row => mayChange && unblockButton(row.who)},
], blocked, "Blocked");

const unblockButton = who => button("Unblock", () => unblock(who), {"aria-label": `Unblock ${who}`});

// The words of `block`. What is waiting in the queue is held by the command only, as root.
export function blockForm(whom) {
  const who = element("input", {id: "block-who", value: whom, required: true,
    placeholder: "anna@example.org"});
  const span = element("select", {id: "block-for"}, SPANS.map(([value, text]) =>
    element("option", {value}, text)));
  const account = element("input", {id: "block-account", type: "checkbox"});
  return element("form", {onsubmit: event => {
    event.preventDefault();
    block(who.value.trim(), {...span.value && {for: span.value}, ...account.checked && {account: true}});
  }}, part("Refuse all mail of an account or client"), element("div", {class: "row"},
    element("label", {for: "block-who"}, "Address, login or client", who),
    element("label", {for: "block-for"}, "How long", span),
    element("label", {for: "block-account", class: "check"}, account, "Lock the account in Carbonio"),
    element("button", {class: "main"}, "Block")));
}

// On the page of a person.
export async function blockOf(who) {
  if (who.startsWith("@")) return [];
  const {blocked} = await get("blocked");
  const found = blocked.find(row => row.in_force &&
    (row.who === who || row.items.some(item => item === who || item === `$${who}`)));
  if (!found) return [mayChange && blockForm(who)];
  return [element("p", {class: "wrong"}, "Blocked since ", time(found.since), " by ", found.by,
    found.until === null ? "." : [", until ", time(found.until), "."]),
  mayChange && unblockButton(found.who)];
}
