// SPDX-License-Identifier: AGPL-3.0-only
// `doctor`: values in the wrong column and words in place of values, as PolicyD's page and hasty
// statements leave them: Data and LastQuota swapped, Data 'NULL', Disabled 'no'.
#include <fmt/core.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "plugin/doctor/checks.hpp"
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

struct Texts {
  std::string_view table;
  std::string_view last;  // the column that PolicyD's page swaps with Data
};
constexpr std::array kTexts = {Texts{"quotas", "LastQuota"}, Texts{"accounting", "LastAccounting"},
                               Texts{"access_control", ""}};

// The text is in LastQuota and 0 or 1 in Data. A text there never ended the walk, so afterwards the
// row does not either: other limits apply as before.
void check_swapped(const RuleRows& rows, const Texts& texts, Findings& findings) {
  const auto found =
      rows_where(rows, texts.table, texts.last,
                 fmt::format("typeof({}) = 'text' AND Data IN ('0', '1')", texts.last));
  for (const auto& [id, changed] : found) {
    findings.wrong(
        problem::kSwapped,
        fmt::format("{} {}: Data and {} look swapped: the text is in {} ('{}')", texts.table,
                    join_with_and(changed.ids), texts.last, texts.last, shown(changed.value)),
        "people whose mail is refused read the number in Data instead of the text",
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

// What a word in a column of 0 and 1 was meant to be.
std::optional<int> evident_switch(std::string_view text) {
  const std::string word = lower_cased(text);
  constexpr std::array<std::string_view, 7> kNo = {"", "null", "no", "n", "false", "f", "none"};
  constexpr std::array<std::string_view, 4> kYes = {"yes", "y", "true", "t"};
  if (std::find(kNo.begin(), kNo.end(), word) != kNo.end()) return 0;
  if (std::find(kYes.begin(), kYes.end(), word) != kYes.end()) return 1;
  return std::nullopt;
}

constexpr std::array<std::string_view, 13> kSwitched = {"policies",
                                                        "policy_members",
                                                        "policy_groups",
                                                        "policy_group_members",
                                                        "quotas",
                                                        "quotas_limits",
                                                        "access_control",
                                                        "accounting",
                                                        "checkhelo",
                                                        "checkhelo_whitelist",
                                                        "checkspf",
                                                        "greylisting",
                                                        "greylisting_whitelist"};

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
        changed.is_number = row.integer(2) != 0;
      });
  for (const auto& [word, changed] : found) {
    // A number stays off.
    const auto value = changed.is_number ? std::optional{1} : evident_switch(word);
    const std::string statement =
        fmt::format("UPDATE {} SET Disabled = {} WHERE ID IN ({})", rows.table(table),
                    value ? fmt::format("{}", *value) : "VALUE", fmt::join(changed.ids, ", "));
    findings.wrong(problem::kDisabledWord,
                   fmt::format("{} {}: Disabled is '{}', which is neither 0 nor 1", table,
                               join_with_and(changed.ids), shown(word)),
                   "only 0 is on, so the row is off and has no effect",
                   value ? rows.sql({statement})
                         : advice("put 0 (on) or 1 (off) in place of VALUE: " +
                                  sqlite_command(rows.question, {statement})));
  }
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
}

}  // namespace limits
