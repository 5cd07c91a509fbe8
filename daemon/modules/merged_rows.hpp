// SPDX-License-Identifier: AGPL-3.0-only
// CheckHelo, CheckSPF and Greylisting take the rows of all matching policies as one. CBPolicyD,
// "Greylisting".
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "daemon/modules/module.hpp"

namespace policyd {

// The rows of all matching policies with their `columns` merged, later values over earlier ones,
// where NULL is no value; nullopt without any row.
template <typename Row, typename... Columns>
std::optional<Row> merged_rows(const RcptQuestion& question, std::vector<Row> Policy::*rows,
                               Columns Row::*... columns) {
  std::optional<Row> merged;
  const auto override_with = [&merged](const Row& row, auto column) {
    if (row.*column) (*merged).*column = row.*column;
  };
  for (const std::uint32_t index : question.policies) {
    for (const Row& row : question.rules.policies[index].*rows) {
      if (!merged) merged.emplace();
      (override_with(row, columns), ...);
    }
  }
  return merged;
}

// Their IDs, for the admin: "1,3".
template <typename Row>
std::string merged_row_ids(const RcptQuestion& question, std::vector<Row> Policy::*rows) {
  std::string ids;
  for (const std::uint32_t index : question.policies) {
    for (const Row& row : question.rules.policies[index].*rows) {
      if (!ids.empty()) ids += ',';
      ids += std::to_string(row.id);
    }
  }
  return ids;
}

}  // namespace policyd
