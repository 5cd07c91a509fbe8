// SPDX-License-Identifier: AGPL-3.0-only
// A limit's rows, written: one policy with its members, one quota with one quotas_limits a period.
// What becomes of other limits is except.hpp's matter; limits.hpp puts both together.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "plugin/database/change_set.hpp"
#include "plugin/limit/limit.hpp"

namespace limits {

// What the rows of a limit that is there are to say.
struct Wish {
  std::vector<Rate> rates;
  std::string track;  // a limit per client that joins IPv6 clients is brought to it
  std::optional<std::string> verdict;  // as rows have it; NULL for none
  std::function<std::optional<std::string>(const Rate&)> text;
  std::optional<std::string> name;  // of the policy; none: as it is
  std::optional<bool> enabled;      // none: as it is
};

Wish wish_of(const WantedLimit& wanted);
// The limit as it stands, with other rates: its texts are kept, those it has by default follow.
Wish wish_of(const StoredLimit& stored, std::vector<Rate> rates);

// A new policy with all that belongs to it.
Result<void> insert_limit(Changes& changes, const WantedLimit& wanted);
// Rows keep their counters where unit and period stay; nothing is written where nothing differs.
Result<void> bring_limit(Changes& changes, const Wish& wish, const StoredLimit& stored);
Result<void> switch_on(Changes& changes, const StoredLimit& stored);
Result<void> switch_off(Changes& changes, const StoredLimit& stored);
// With its counters; its policy too, where nothing else is on it.
Result<void> delete_limit(Changes& changes, const StoredLimit& stored);

// Whether the policy has quotas besides this limit's, or rows of other modules.
Result<bool> has_company(const Tables& tables, const StoredLimit& limit);

// NULL and the empty string mean the same in Verdict and Data.
bool same_text(const std::optional<std::string>& a, const std::optional<std::string>& b);
// Whether the texts are those of message_for.
bool has_default_texts(const StoredLimit& limit);

}  // namespace limits
