// SPDX-License-Identifier: AGPL-3.0-only
// Whom a limit would have hit in the last week, shown before it is made.
import {get} from "./api.js";
import {count, element, meter, number, part, table, time, usedOf} from "./text.js";

const LINES = 10;

// Fills a place with it; `limit` has the words of `simulate`.
export const lastWeek = limit => async (place, closed) => {
  place.append(part("In the last week"),
    element("p", {class: "dim", role: "status"}, "Reading the mail log…"));
  let shown;
  try {
    shown = trial(await get("simulate", {...limit, top: LINES}, closed));
  } catch (error) {
    if (closed.aborted) return;
    shown = [element("p", {class: "error", role: "alert"}, error.message)];
  }
  place.replaceChildren(part("In the last week"), ...shown);
};

function trial(said) {
  const rows = said.accounts.filter(row => row.refused > 0 || row.peak > 0);
  return [element("p", {role: "status"}, sentence(said)),
    rows.length > 0 && accounts(rows),
    said.found > rows.length &&
      element("p", {class: "dim"}, `and ${number(said.found - rows.length)} more`),
    said.recipients > 0 && element("div", {class: "scroll", tabindex: 0, role: "region",
      "aria-label": "Picture of the peaks"}, element("img", {class: "picture",
      alt: "Peaks of all accounts against the limit, and the hours of the one that was hit most",
      src: `data:image/svg+xml;charset=utf-8,${encodeURIComponent(said.svg)}`})),
    said.notes.length > 0 && element("ul", {class: "dim"},
      said.notes.map(note => element("li", {}, note)))].filter(Boolean);
}

function sentence(said) {
  const mail = `Of ${count(said.recipients, "mail")} (${said.source}) it would have refused `;
  const all = count(said.found, "account");
  if (said.refused === 0) {
    return said.found === 0 ? `${mail}none.` : `${mail}none; ${all} had mail that counts.`;
  }
  const percent = 100 * said.refused / said.recipients;
  const share = percent < 0.1 ? "less than 0.1" : percent.toFixed(percent < 10 ? 1 : 0);
  return `${mail}${number(said.refused)} (${share} %), of ${number(said.hit)} of ${all}; ` +
    `${said.late === 0 ? "none of them" : number(said.late)} would have come later.`;
}

const accounts = rows => table([
  {title: "Who", of: row => row.who},
  {title: "Peak", of: row => meter(100 * row.peak / row.limit)},
  {title: "Of limit", number: true, of: row =>
    row.peak > 0 ? usedOf(row.peak, row.limit, row.rate) : `over ${row.rate}`},
  {title: "Mails", number: true, of: row => row.mails === null ? "" : number(row.mails)},
  {title: "Refused", number: true, of: row => row.refused ? number(row.refused) : ""},
  {title: "Late", number: true, of: row => row.late ? number(row.late) : ""},
  {title: "First", of: row => row.first === null ? "" : time(row.first)},
], rows, "Whom it would have hit");
