// SPDX-License-Identifier: AGPL-3.0-only
// What is wrong with a row of the rule tables, as a value: the loaders find it, the log prints it,
// `doctor` chooses its fix by it. Only here is it put into words. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace policyd {

// A row that cannot be used, or only in part. Logged once per snapshot.
struct RowProblem {
  enum class Kind : std::uint8_t {
    not_a_number,  // text in a number column; `value` is the text
    not_positive,  // 0, NULL or negative where a number above 0 is needed
    // Above 0, but no mail is within the limit. `other` says what becomes of it: "REJECTED", or
    // nothing where the limit only monitors.
    below_one,
    invalid_value,  // `value` is not one that the column takes
    unfit_data,     // `value` is not what the verdict `other` needs in Data
    too_long,       // of `column` only the first `other` characters are used
    // The switch `other` is on, but `column`, which it needs, is not set.
    missing,
    missing_for_some,  // likewise, but another policy that matches the mail may set it
    // Items of lists and groups; `value` is the item as written.
    line_break,       // in the middle of an item
    empty_item,       // in a list
    empty_list,       // a Source or Destination without items
    invalid_network,  // 300.1.1.1: an error, as CBPolicyD has it
    long_prefix,      // 192.0.2.0/33: taken for /32, as CBPolicyD has it
    mapped_network,   // ::ffff:192.0.2.0/24, of which no client is: /120 is meant
    unknown_item,     // none of the forms that the column takes
    no_address,       // has a pattern's form, but no mail address is like that
    never_together,   // `value` and `other` in one list, all of which must match
    unknown_group,
    empty_member,  // a group member without items
    broken_group,  // the group `value` contains `other`, which contains an error or itself
  };

  Kind kind = Kind::invalid_value;
  std::string table;
  std::int64_t id = 0;
  std::string column;
  std::string value = {};  // at most kMaxValue bytes of it
  std::string other = {};
  bool all_mail = false;  // the row refuses all mail while its module is on (all_mail.hpp)

  static constexpr std::size_t kMaxValue = 200;

  bool operator==(const RowProblem&) const = default;
};

// "quotas 3: 'WAIT' is not a valid Verdict; use DEFER, REJECT, ..." One line of printable text.
[[nodiscard]] std::string describe(const RowProblem& problem);

// The part of it after the colon: for several problems of one row.
[[nodiscard]] std::string describe_without_row(const RowProblem& problem);

// "ALL MAIL IS DEFERRED", by a row of which that is true.
[[nodiscard]] std::string describe_all_mail_of(const RowProblem& problem);

// The problem, for log lines that name the row in their own way.
[[nodiscard]] std::string describe_invalid_value(std::string_view table, std::string_view column,
                                                 std::string_view value);
[[nodiscard]] std::string describe_unfit_data(std::string_view verdict, std::string_view data);
[[nodiscard]] std::string describe_missing(std::string_view switch_column, std::string_view column);

}  // namespace policyd
