// SPDX-License-Identifier: AGPL-3.0-only
// `doctor`: values in the wrong column and words in place of values, as PolicyD's page and hasty
// statements leave them: Data and LastQuota swapped, Data 'NULL', Disabled 'no'.
#include <fmt/core.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "plugin/doctor/checks.hpp"
#include "plugin/doctor/evident/evident_values.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

using policyd::sql::Statement;

// Rows of one table that need the same change, by the limit of `list` that they belong to: one fix
// for one limit.
struct Changed {
  std::vector<std::string> ids;
  std::string value;  // of the first
  bool is_number = false;
};
using ByLimit = std::map<std::int64_t, Changed>;

ByLimit rows_where(const RuleRows& rows, std::string_view table, std::string_view shown_column,
                   const std::string& condition) {
  ByLimit found;
  rows.tables.each(fmt::format("SELECT ID, {} FROM {{p}}{} WHERE {} ORDER BY ID LIMIT 10000",
                               shown_column, table, condition),
                   {}, [&](const Statement& row) {
                     const std::int64_t id = row.integer(0);
                     Changed& changed = found[table == "quotas" ? rows.listed_id(id) : id];
                     if (changed.ids.empty()) changed.value = row.text(1);
                     changed.ids.emplace_back(row.text(0));
                   });
  return found;
}

// Of LastQuota, which are no texts for people.
constexpr std::string_view kSwitchWords =
    "'yes', 'y', 'true', 't', 'on', 'no', 'n', 'false', 'f', 'off', 'null', 'none'";

struct Texts {
  std::string_view table;
  std::string_view last;  // the column that PolicyD's page swaps with Data
};
constexpr std::array kTexts = {Texts{"quotas", "LastQuota"}, Texts{"accounting", "LastAccounting"},
                               Texts{"access_control", ""}};

// The text is in LastQuota, and 0, 1 or nothing in Data. A text there never ended the walk, so
// afterwards the row does not either: other limits apply as before.
void check_swapped(const RuleRows& rows, const Texts& texts, Findings& findings) {
  const auto found = rows_where(
      rows, texts.table, texts.last,
      fmt::format("typeof({0}) = 'text' AND (Data IN ('0', '1') OR (trim(ifnull(Data, '')) = '' "
                  "AND trim({0}) <> '')) AND lower(trim({0})) NOT IN ({1})",
                  texts.last, kSwitchWords));
  for (const auto& [id, changed] : found) {
    findings.wrong(
        problem::kSwapped,
        fmt::format("{} {}: Data and {} look swapped: the text is in {} ('{}')", texts.table,
                    join_with_and(changed.ids), texts.last, texts.last, shown(changed.value)),
        "people whose mail is refused do not read the text",
        rows.sql({fmt::format("UPDATE {0} SET Data = {1}, {1} = 0 WHERE ID IN ({2})",
                              rows.table(texts.table), texts.last, fmt::join(changed.ids, ", "))}));
  }
}

void check_null_texts(const RuleRows& rows, std::string_view table, Findings& findings) {
  const auto found =
      rows_where(rows, table, "Data", "upper(trim(Data)) IN ('NULL', '(NULL)', '''''', '\"\"')");
  for (const auto& [id, changed] : found) {
    findings.wrong(problem::kNullText,
                   fmt::format("{} {}: Data is the text '{}'", table, join_with_and(changed.ids),
                               shown(changed.value)),
                   "people whose mail is refused read that word",
                   rows.sql({fmt::format("UPDATE {} SET Data = NULL WHERE ID IN ({})",
                                         rows.table(table), fmt::join(changed.ids, ", "))}));
  }
}

constexpr std::string_view kOddDisabled = "(Disabled IS NULL OR Disabled NOT IN (0, 1))";

// "on" may be said of the row.
std::optional<std::string> evident_disabled(const Changed& changed) {
  if (changed.is_number) return "1";  // it stays off
  const std::string word = lower_cased(trimmed_item(changed.value));
  return word == "on" || word == "off" ? std::nullopt : evident_switch(word);
}

constexpr std::array<std::string_view, 14> kSwitched = {
    "policies",    "policy_members",       "policy_groups",       "policy_group_members",
    "quotas",      "quotas_limits",        "access_control",      "accounting",
    "checkhelo",   "checkhelo_whitelist",  "checkhelo_blacklist", "checkspf",
    "greylisting", "greylisting_whitelist"};

// What is there is not 0, so the row is off, whatever it says.
void check_switches(const RuleRows& rows, std::string_view table, Findings& findings) {
  std::map<std::string, Changed> found;  // by the word
  rows.tables.each(
      fmt::format("SELECT ID, ifnull(Disabled, ''), typeof(Disabled) IN ('integer', 'real') "
                  "FROM {{p}}{} WHERE {} ORDER BY ID LIMIT 10000",
                  table, kOddDisabled),
      {}, [&](const Statement& row) {
        Changed& changed = found[std::string{row.text(1)}];
        changed.ids.emplace_back(row.text(0));
        changed.value = row.text(1);
        changed.is_number = row.integer(2) != 0;
      });
  for (const auto& [word, changed] : found) {
    const auto value = evident_disabled(changed);
    const std::string statement =
        fmt::format("UPDATE {} SET Disabled = {} WHERE ID IN ({})", rows.table(table),
                    value.value_or("VALUE"), fmt::join(changed.ids, ", "));
    findings.wrong(problem::kDisabledWord,
                   fmt::format("{} {}: Disabled is '{}', which is neither 0 nor 1", table,
                               join_with_and(changed.ids), shown(word)),
                   "only 0 is on, so the row is off and has no effect",
                   value ? rows.sql({statement})
                         : advice("put 0 (on) or 1 (off) in place of VALUE: " +
                                  sqlite_command(rows.question, {statement})));
  }
}

struct Switch {
  std::string_view table;
  std::string_view column;
  bool words = false;  // in other columns check_problems reports them
};
constexpr std::array kSwitches = {
    Switch{"quotas", "LastQuota", true},       Switch{"accounting", "LastAccounting", true},
    Switch{"checkhelo", "UseBlacklist"},       Switch{"checkhelo", "UseHRP"},
    Switch{"checkhelo", "RejectInvalid"},      Switch{"checkhelo", "RejectIP"},
    Switch{"checkhelo", "RejectUnresolvable"}, Switch{"checkspf", "UseSPF"},
    Switch{"checkspf", "RejectFailedSPF"},     Switch{"checkspf", "AddSPFHeader"},
    Switch{"greylisting", "UseGreylisting"},   Switch{"greylisting", "UseAutoWhitelist"},
    Switch{"greylisting", "UseAutoBlacklist"},
};

// Only 1 is on, so others are off.
void check_other_switch(const RuleRows& rows, const Switch& each, Findings& findings) {
  std::string condition = fmt::format(
      "Disabled = 0 AND typeof({0}) IN ('integer', 'real') AND {0} NOT IN (0, 1)", each.column);
  if (each.words) {
    condition +=
        fmt::format(" OR Disabled = 0 AND typeof({0}) = 'text' AND lower(trim({0})) IN ({1})",
                    each.column, kSwitchWords);
  }
  for (const auto& [id, changed] : rows_where(rows, each.table, each.column, condition)) {
    const bool off = evident_switch(changed.value) == "0";
    const std::string statement =
        fmt::format("UPDATE {} SET {} = {} WHERE ID IN ({})", rows.table(each.table), each.column,
                    off ? "0" : "VALUE", fmt::join(changed.ids, ", "));
    findings.wrong(problem::kOddSwitch,
                   fmt::format("{} {}: {} is '{}', which is neither 0 nor 1", each.table,
                               join_with_and(changed.ids), each.column, shown(changed.value)),
                   "only 1 is on, so it is off",
                   off ? rows.sql({statement})
                       : advice("put 0 (off) or 1 (on) in place of VALUE: " +
                                sqlite_command(rows.question, {statement})));
  }
}

// Names that no client can give in its HELO, which has neither blanks nor stars.
void check_blacklist(const RuleRows& rows, Findings& findings) {
  const std::string table = rows.table("checkhelo_blacklist");
  rows.tables.each(
      "SELECT ID, Helo FROM {p}checkhelo_blacklist WHERE Disabled = 0 ORDER BY ID LIMIT 10000", {},
      [&](const Statement& row) {
        const std::string helo{row.text(1)};
        if (!helo.empty() && helo.find_first_of(" \t\r\n\v\f*") == std::string::npos) return;
        const std::string plain{trimmed_item(helo)};
        const bool evident = !plain.empty() && plain.find_first_of(" \t\r\n\v\f*") == plain.npos;
        const std::string id{row.text(0)};
        const bool taken =
            plain.empty() ||
            rows.tables
                .has_row("SELECT 1 FROM {p}checkhelo_blacklist WHERE Helo = ? AND ID <> ?",
                         {plain, row.integer(0)})
                .value_or(true);
        const std::string change = fmt::format("UPDATE {} SET Helo = {} WHERE ID = {}", table,
                                               sql_literal(evident ? plain : "VALUE"), id);
        findings.wrong(problem::kBlacklist,
                       fmt::format("checkhelo_blacklist {}: no HELO is '{}'", id, shown(helo)),
                       "a name matches only as a whole, so the entry refuses no one",
                       taken ? rows.sql({fmt::format("DELETE FROM {} WHERE ID = {}", table, id)})
                       : evident ? rows.sql({change})
                                 : advice("put what you mean in place of VALUE: " +
                                          sqlite_command(rows.question, {change})));
      });
}

}  // namespace

bool RuleRows::has_odd_switch(std::string_view of, std::string_view column, std::int64_t id) const {
  return tables
      .has_row(fmt::format("SELECT 1 FROM {{p}}{} WHERE {} = ? AND {}", of, column, kOddDisabled),
               {id})
      .value_or(false);
}

void check_columns(const RuleRows& rows, Findings& findings) {
  for (const Texts& texts : kTexts) {
    if (!texts.last.empty()) check_swapped(rows, texts, findings);
    check_null_texts(rows, texts.table, findings);
  }
  for (const std::string_view table : kSwitched) check_switches(rows, table, findings);
  for (const Switch& each : kSwitches) check_other_switch(rows, each, findings);
  check_blacklist(rows, findings);
}

}  // namespace limits
