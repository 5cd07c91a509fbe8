// SPDX-License-Identifier: AGPL-3.0-only
// Which commands undo a change of limits, each as [path, parameters]. Known before the change, from
// the limits as they are (`list --json`) and what --dry-run says, so that the page can say beforehand
// where none brings back what was: null. Otherwise a function of what the change said.

const word = (...words) => ({word: words.map(String)});
const withId = (rows, id) => rows.find(row => row.id === Number(id));

// `on` and `off`. Of a limit that is on in part, `off` would leave less.
export const undoOfSwitch = (path, id) => (rows, preview) =>
  withId(rows, id)?.state === "partly" || / was switched off as a whole/.test(preview)
    ? null : () => [[path === "on" ? "off" : "on", word(id)]];

// Another ID, where the change removed the row that it was of.
const idAfter = (id, said) => /^ {2}It is limit (\d+) from now on/m.exec(said)?.[1] ?? id;

export const undoOfFigures = id => rows => {
  const row = withId(rows, id);
  const oneText = row && (row.typed !== null ||
    row.rates.every(rate => rate.message === row.rates[0].message));
  return oneText && row.state !== "partly"
    ? said => [["set", word(idAfter(id, said), row.limit)]] : null;
};

// Rows that no command expresses are gone for good.
const canBeTyped = row => Boolean(row) && row.typed !== null && row.state !== "partly";

export const undoOfRemoval = id => rows => canBeTyped(withId(rows, id))
  ? () => [["import", {text: `${withId(rows, id).typed}\n`}]] : null;

// `send` and `receive` change a limit for the same target, if there is one.
export const undoOfNew = (rows, preview) => {
  const changed = [...preview.matchAll(/^Would change limit (\d+)/gm)].map(([, id]) => withId(rows, id));
  return changed.every(canBeTyped) ? said => {
    const created = [...said.matchAll(/^Created limit (\d+)/gm)].map(([, id]) => id);
    const lines = changed.map(row => `${row.typed}\n`).join("");
    return [created.length > 0 && ["remove", word(...created)],
      lines && ["import", {text: lines}]].filter(Boolean);
  } : null;
};
