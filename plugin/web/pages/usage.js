// SPDX-License-Identifier: AGPL-3.0-only
// How much is used, and the page of a person, domain or client.
import {clearCounter, get, mayChange} from "./api.js";
import {bars, button, count, element, heading, hoursOf, link, meter, number, part, table, time,
  until, usedOf} from "./text.js";
import {blockOf} from "./blocked.js";
import {explained} from "./now.js";

const LINES = 12;  // rows that show their last day
const KINDS = [["", "everybody"], ["Sender:", "senders"], ["Recipient:", "recipients"],
  ["SASLUsername:", "accounts"], ["@", "domains"], ["SenderIP:", "clients"]];

const isOfKind = (row, kind) => kind === "" ? true : kind === "@" ? row.who.startsWith("@")
  : row.key.startsWith(kind) && !row.who.startsWith("@");

export async function usage(search = "") {
  const answer = await get("usage", search ? {word: search, top: 1000} : {top: 1000});
  const field = element("input", {type: "search", name: "who", value: search, id: "who"});
  const kind = element("select", {id: "kind"}, KINDS.map(([value, text]) =>
    element("option", {value}, text)));
  const place = element("div", {});
  const fill = () => place.replaceChildren(usageTable(
    answer.usage.filter(row => isOfKind(row, kind.value)).slice(0, 200), answer.now));
  kind.addEventListener("change", fill);
  fill();
  return [heading("Usage"), element("form", {class: "row", onsubmit: event => {
    event.preventDefault();
    location.hash = `usage/${encodeURIComponent(field.value.trim())}`;
  }}, element("label", {for: "who"}, "Address, domain, login or client", field),
    element("button", {}, "Show"), element("label", {for: "kind"}, "Of", kind)),
    element("p", {class: "dim"}, count(answer.counters, "counter") +
      (answer.others_unknown ? `; these figures are this host's alone: ${answer.others_unknown}` : "")),
    place];
}

function usageTable(rows, moment) {
  if (rows.length === 0) return element("p", {}, "Nothing is counted.");
  const out = table([
    {title: "Who", of: row => link(row.reset || row.who, row.who)},
    {title: "Used", of: row => meter(row.percent)},
    {title: "Of limit", number: true, of: row => usedOf(row.used, row.amount, row.limit)},
    {title: "Last day", of: row => element("span", {"data-day": row.reset || row.who})},
    {title: "Refused", number: true, of: row => row.refused ? number(row.refused) : ""},
    {title: "Free", of: row => row.percent < 100 || row.next_free === null ? ""
      : until(row.next_free, moment)},
  ], rows, "How much is used");
  drawLastDays([...out.querySelectorAll("[data-day]")].slice(0, LINES));
  return out;
}

// One after another, since each may read many rows.
async function drawLastDays(places) {
  for (const place of places) {
    const who = place.dataset.day;
    const answer = await get("history", {word: who, top: 24}).catch(() => null);
    if (answer) place.append(bars(hoursOf(answer), `Messages of ${who} in the last 24 hours`, "day"));
    if (!place.isConnected) return;
  }
}

export async function person(who) {
  const isAddress = who.includes("@") && !who.startsWith("@");
  const [day, history, used, said, blocked] = await Promise.all([
    get("history", {word: who, top: 24}), get("history", {word: who, since: "7day", top: 50}),
    get("usage", {word: who}),
    isAddress ? get("explain", {from: who, to: who, sasl: who}).catch(() => null) : null,
    blockOf(who)]);
  return [heading(who), ...blocked, part("Limits that count"),
    used.usage.length === 0 ? element("p", {}, "Nothing is counted now.") : table([
      {title: "Limit", of: row => element("a", {href: `#limits/${row.id}`},
        `${row.direction} ${row.limit}`)},
      {title: "Counted for", of: row => row.who},
      {title: "Used", of: row => meter(row.percent)},
      {title: "Of limit", number: true, of: row => usedOf(row.used, row.amount, row.limit)},
      {title: "Free", of: row => row.percent < 100 || row.next_free === null ? ""
        : until(row.next_free, used.now)},
      {title: "", of: row => mayChange && row.used > 0 && row.reset !== null && button("Clear",
        () => clearCounter(row),
        {"aria-label": `Clear what ${row.who} has used of ${row.limit}`})},
    ], used.usage, "Limits that count"),
    said && part("Limits that apply to the next mail"), said && explained(said),
    part("Sent in the last 24 hours"),
    bars(hoursOf(day), "Messages by hour"),
    part("Sent in the last week"),
    element("p", {}, `${count(history.messages, "message")} to ` +
      `${count(history.recipients, "recipient")}, ${number(history.refused)} refused.`),
    ...names("Clients", "client", history.clients), ...names("Senders", "sender", history.senders),
    ...names("Logins", "login", history.logins), ...latest(history.latest)];
}

function names(title, key, all) {
  return all.list.length === 0 ? [] : [part(title), table([
    {title: title.slice(0, -1), of: row => (row[key] || "(none)") +
      (row.client_name ? ` (${row.client_name})` : "")},
    {title: "Messages", number: true, of: row => number(row.messages)},
    {title: "Recipients", number: true, of: row => number(row.recipients)},
    {title: "Refused", number: true, of: row => number(row.refused)},
    {title: "Last", of: row => time(row.last)},
  ], all.list, title)];
}

function latest(all) {
  return all.length === 0 ? [] : [part("Latest messages"), table([
    {title: "Queue ID", of: row => row.queue_id},
    {title: "Time", of: row => time(row.time)},
    {title: "Sender", of: row => row.sender},
    {title: "Recipient", of: row => row.recipient +
      (row.recipients > 1 ? ` and ${number(row.recipients - 1)} more` : "")},
    {title: "KiB", number: true, of: row => number(row.size_kib)},
  ], all, "Latest messages")];
}
