// SPDX-License-Identifier: AGPL-3.0-only
// Who is refused now, and whether all is well.
import {attempt, block, changeNow, clearCounter, confirmed, get, mayChange} from "./api.js";
import {button, element, heading, link, number, part, table, time, until} from "./text.js";

const DOCTOR_MS = 60000;  // it runs other programs
const MOST_PROBLEMS = 10;  // each of many limits may have one
let doctor = null, doctorAt = -DOCTOR_MS;

async function health() {
  if (performance.now() - doctorAt >= DOCTOR_MS) {
    doctorAt = performance.now();
    doctor = await get("doctor").catch(() => doctor);
  }
  return doctor;
}

export async function now() {
  const [refused, watched, found] = await Promise.all([
    get("refused", {since: "1h", top: 100}), get("refused", {since: "1h", top: 20, watched: ""}),
    health()]);
  const isRefused = row => row.free_at !== null && row.free_at > refused.now;
  const stuck = refused.refused.filter(isRefused);
  const others = refused.refused.filter(row => !isRefused(row));
  return [heading("Now"), ...sentence(found), part("Refused now"),
    stuck.length === 0 ? element("p", {}, "No sender is refused now.")
      : refusals(stuck, refused.now, "Refused now", true),
    others.length > 0 && part("Refused in the last hour"),
    others.length > 0 && refusals(others, refused.now, "Refused in the last hour", false),
    watched.refused.length > 0 && part("Watched: not refused, as the limit only monitors"),
    watched.refused.length > 0 && refusals(watched.refused, refused.now, "Watched", false),
    mayChange && pauseForm()];
}

function sentence(found) {
  if (found === null) return [element("p", {class: "health dim"}, "It is not known whether all is well.")];
  const wrong = found.findings.filter(finding => finding.state === "wrong");
  if (wrong.length === 0) return [element("p", {class: "health well"}, "All is well.")];
  return [element("p", {class: "health wrong"}, wrong.length === 1 ? "1 problem:" : `${wrong.length} problems:`),
    element("ul", {class: "problems"}, wrong.slice(0, MOST_PROBLEMS).map(finding => element("li", {},
      finding.what, finding.fix && element("div", {class: "dim"}, "fix: ", finding.command
        ? element("code", {}, finding.fix) : finding.fix)))),
    wrong.length > MOST_PROBLEMS && element("p", {}, `${wrong.length - MOST_PROBLEMS} more: `,
      element("code", {}, "carbonio-limits doctor"))];
}

function refusals(rows, moment, caption, stuck) {
  return table([
    {title: "Who", of: row => link(row.reset || row.who, row.who)},
    {title: "Times", number: true, of: row => number(row.times)},
    {title: "Since", of: row => time(row.first)},
    {title: "Last", of: row => time(row.last)},
    {title: "By", of: row => row.id === null ? row.module
      : element("a", {href: `#limits/${row.id}`}, `limit ${row.id}`)},
    {title: "From", of: row => row.client},
    stuck && {title: "Free", of: row => until(row.free_at, moment)},
    {title: "", of: row => element("div", {class: "row"},
      stuck && mayChange && row.reset !== null && button("Allow again", () => clearCounter(row),
        {"aria-label": `Allow again: ${row.who}`}),
      mayChange && sender(row) && button("Block", () => block(sender(row)),
        {"aria-label": `Block ${sender(row)}`}),
      row.sender.includes("@") && row.recipient.includes("@") &&
        button("Explain", () => attempt(() => explain(row)), {"aria-label": `Explain: ${row.who}`}))},
  ].filter(Boolean), rows, caption);
}

// Whom a block would stop; of a bounce the client.
const sender = row => row.login || (row.sender.includes("@") ? row.sender : row.client);

// What would become of the same mail now.
async function explain(row) {
  const mail = {from: row.sender, to: row.recipient};
  if (row.client) mail.client = row.client;
  if (row.login) mail.sasl = row.login;
  const said = await get("explain", mail);
  const dialog = element("dialog", {"aria-labelledby": "dialog-title"},
    element("h2", {id: "dialog-title"}, said.passes ? "It would pass now" : "It would be refused now"),
    element("p", {}, `From ${row.sender} to ${row.recipient}: ${said.answer.why}`),
    explained(said),
    element("form", {method: "dialog"}, element("button", {class: "main", autofocus: true}, "Close")));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

// The limits that apply to a mail, and why their policies match.
export function explained(said) {
  const because = new Map(said.policies.map(policy => [policy.id, policy]));
  const counted = row => row.key.includes(":") ? row.key.slice(row.key.indexOf(":") + 1) : row.key;
  return said.limits.length === 0 ? element("p", {}, "No limit applies.") : table([
    {title: "Limit", of: row => `${row.module === "Quotas" ? "quota" : "accounting"} ${row.row_id}`},
    {title: "Counted for", of: counted},
    {title: "Used", number: true, of: row =>
      `${number(row.used)} of ${number(row.limit)} ${row.unit} per ${row.period}`},
    {title: "When full", of: row => row.ended_by !== null ? "not asked" : row.verdict},
    {title: "Applies because", of: row => because.get(row.policy_id)?.because ?? ""},
  ], said.limits, "Limits that apply");
}

function pauseForm() {
  const span = element("select", {id: "pause-for"}, ["10min", "30min", "1h", "4h"].map(text =>
    element("option", {value: text}, text.replace(/(\d+)/, "$1 "))));
  return element("form", {class: "row", onsubmit: async event => {
    event.preventDefault();
    const sure = await confirmed("Pause all limits?", "All mail of this server passes for " +
      `${span.value}, and is counted. No limit of it refuses mail meanwhile. ` +
      "Other MTAs of a cluster are not paused.", "Pause");
    if (sure) await changeNow("pause", {word: span.value});
  }}, element("label", {for: "pause-for"}, "Let all mail pass for", span),
    element("button", {}, "Pause limits"));
}
