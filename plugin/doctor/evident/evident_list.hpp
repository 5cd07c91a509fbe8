// SPDX-License-Identifier: AGPL-3.0-only
// What a Source, Destination or member of a group was evidently meant to be, if an item of it is
// not valid or its items can never match together. Pure functions.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/rules/match/list_item.hpp"

namespace limits {

// "<anna@example.org>" is "anna@example.org", "example.org" as a Destination "@example.org",
// "%internal_domians" the group of that name with one typing error. Nullopt if that takes guessing,
// and for an item that is valid.
std::optional<std::string> evident_item(std::string_view item, policyd::Side side,
                                        const std::set<std::string>& groups);

// The list without its faults. Several lists if it names alternatives, of which each needs a row of
// its own: "anna@example.org;bob@example.org". Nullopt if that takes guessing.
std::optional<std::vector<std::string>> evident_lists(std::string_view list, policyd::Side side,
                                                      const std::set<std::string>& groups);

// Of policy_group_members, where commas separate alternatives.
std::optional<std::string> evident_member(std::string_view member,
                                          const std::set<std::string>& groups);

}  // namespace limits
