// SPDX-License-Identifier: AGPL-3.0-only
// What was refused in 30 days, and who changed what; and the hosts.
import {get} from "./api.js";
import {bars, count, element, heading, link, longTable, number, part, table, time} from "./text.js";

const DAYS = 30;

export async function history() {
  const [refused, changed] = await Promise.all([
    get("refused", {"by-hour": "", top: 10}), get("changes", {top: 200})]);
  return [heading("History"),
    part(`Refused in ${DAYS} days, by hour`), hours(refused),
    part("By limit"), refused.hours.length === 0 ? element("p", {}, "Nothing was refused.")
      : byLimit(refused),
    part("Refused most"), refused.whom.length === 0 ? element("p", {}, "No sender was refused.") : table([
      {title: "Who", of: row => link(row.who)},
      {title: "Times", number: true, of: row => number(row.times)}], refused.whom, "Refused most"),
    part("What was changed"), changed.changes.length === 0
      ? element("p", {}, "Nothing was changed.") : longTable([
        {title: "What", of: row => row.what + (row.times > 1 ? `, ${number(row.times)} counters` : "")},
        {title: "When", of: row => time(row.time)},
        {title: "By", of: row => row.who || "unknown"}], changed.changes, "What was changed", 50)];
}

function hours(answer) {
  const last = Math.floor(answer.now / 3600);
  const all = Array.from({length: DAYS * 24}, () => ({times: 0, by: new Map()}));
  for (const row of answer.hours) {
    const hour = all[DAYS * 24 - 1 - (last - Math.floor(row.begin / 3600))];
    if (!hour) continue;
    hour.times += row.times;
    hour.by.set(row.by, (hour.by.get(row.by) ?? 0) + row.times);
  }
  return bars(all.map((hour, at) => ({value: hour.times, title:
    new Date((last - DAYS * 24 + 1 + at) * 3600000).toLocaleString([], {dateStyle: "medium",
      timeStyle: "short"}) + ": " + ([...hour.by].map(([by, times]) =>
      `${number(times)} by ${by}`).join(", ") || "none")})),
    `Refused mail by hour in ${DAYS} days: ${count(answer.times, "mail")}`, "bars tight");
}

// With the days of each, since hours would be too thin for a table.
function byLimit(answer) {
  const all = new Map();
  const last = Math.floor(answer.now / 86400);
  for (const row of answer.hours) {
    const one = all.get(row.by) ?? {by: row.by, id: row.id, times: 0, days: Array(DAYS).fill(0)};
    all.set(row.by, one);
    one.times += row.times;
    const day = DAYS - 1 - (last - Math.floor(row.begin / 86400));
    if (day >= 0) one.days[day] += row.times;
  }
  return longTable([
    {title: "By", of: row => row.id === null ? row.by
      : element("a", {href: `#limits/${row.id}`}, row.by)},
    {title: "Times", number: true, of: row => number(row.times)},
    {title: "By day", of: row => bars(row.days.map((value, at) => ({value, title:
      `${new Date((last - DAYS + 1 + at) * 86400000).toLocaleDateString()}: ${number(value)}`})),
      `Refused by ${row.by}, by day`, "day")},
  ], [...all.values()].sort((a, b) => b.times - a.times), "Refused by limit", 50);
}

export async function hosts() {
  const [status, cluster] = await Promise.all([get("status"), get("cluster").catch(() => null)]);
  const lines = [["Policy daemon", status.running ? `running, version ${status.version ?? "unknown"}`
    : "not running"]];
  if (status.wrong) lines.push(["Problem", status.wrong]);
  if (status.started) lines.push(["Since", time(status.started)]);
  if (status.requests !== undefined) lines.push(["Requests", number(status.requests)]);
  if (status.refused !== undefined) lines.push(["Refused", number(status.refused)]);
  if (!cluster?.configured) {
    lines.push(["Cluster", "none: this MTA counts alone"]);
  } else {
    lines.push(["Engine", cluster.engine], ["Name in the cluster", cluster.node],
      ["Sharing", cluster.sharing ? "yes" : `no: ${cluster.wrong}`]);
    if (cluster.round_trip !== undefined) {
      lines.push(["Round trip", `${(cluster.round_trip * 1000).toFixed(2)} ms`],
        ["Decided alone", `${number(cluster.alone)} of ${number(cluster.questions)}`],
        ["Answers too late", number(cluster.late)]);
    }
  }
  const out = [heading("Hosts"), part("This host"),
    table([{title: "What", of: row => row[0]}, {title: "Value", of: row => row[1]}], lines, "This host")];
  if (cluster?.mtas) out.push(part("MTAs"), mtas(cluster.mtas));
  return out;
}

function mtas(all) {
  const newest = Math.max(...all.map(row => row.rules));
  return table([
    {title: "MTA", of: row => row.node},
    {title: "Host", of: row => row.host},
    {title: "Version", of: row => row.version},
    {title: "Limits", of: row => element("span", {class: row.rules === newest ? null : "wrong"},
      row.rules === 0 ? "its own" : `version ${number(row.rules)}`)},
    {title: "Heard of", of: row => row.unseen < 5 ? "now"
      : element("span", {class: "wrong"}, `${number(row.unseen)} s ago`)},
  ], all, "MTAs of the cluster");
}
