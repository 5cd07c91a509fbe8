// SPDX-License-Identifier: AGPL-3.0-only
// What the rows of one limit should contain: one policy with its members, and per period one quota
// with one quotas_limits row. Pure functions on values; rows that do not exist yet have the ID 0.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "plugin/limit/limit.hpp"

namespace limits {

struct DesiredRows {
  std::vector<Rate> rates;
  std::string track;                   // replaces a per-client Track that joins IPv6 clients
  std::optional<std::string> verdict;  // as stored in rows; NULL for none
  std::function<std::optional<std::string>(const Rate&)> text;
  std::optional<std::string> name;  // of the policy; none: unchanged
  std::optional<bool> enabled;      // none: unchanged
  std::optional<std::string> then;  // steps after refusals; none: unchanged
};

DesiredRows desired_rows(const WantedLimit& wanted);
// The existing limit with other rates: custom texts are kept, default texts follow the rates.
DesiredRows desired_rows(const StoredLimit& stored, std::vector<Rate> rates);

StoredLimit new_limit(const WantedLimit& wanted);
// Rows keep their IDs, and so their counters, if unit and period stay the same.
StoredLimit changed_limit(StoredLimit stored, const DesiredRows& desired);
StoredLimit switched_limit(StoredLimit stored, bool on);

// With the Track and the members of another --per; the exceptions stay.
StoredLimit counted_per(StoredLimit stored, Per per);

// The rates of `rates`, and those of the limit that are in another unit, by period.
std::vector<Rate> with_other_units(std::vector<Rate> rates, const StoredLimit& stored, Units units);

// NULL and the empty string mean the same in Verdict and Data.
bool same_text(const std::optional<std::string>& a, const std::optional<std::string>& b);
// Whether it is the text of message_for or earlier_message_for.
bool is_default_text(const std::optional<std::string>& text, Direction direction, const Rate& rate,
                     const std::optional<policyd::Action>& verdict);
// Whether all texts are.
bool has_default_texts(const StoredLimit& limit);

}  // namespace limits
