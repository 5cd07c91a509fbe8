// SPDX-License-Identifier: AGPL-3.0-only
// The rows that matching is built from, as values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace policyd {

// An enabled row of policy_members whose policy is enabled. `policy` is the policy's index in the
// order of (Priority, ID), so that matches sorted by it are in the order in which they apply.
struct MemberRow {
  std::int64_t id = 0;
  std::uint32_t policy = 0;
  std::optional<std::string> source;       // NULL matches everything
  std::optional<std::string> destination;  // NULL matches everything
};

// A row of policy_groups with its enabled policy_group_members in the order of their IDs: nothing
// after a member that is an error is tried. A disabled group has no members.
struct GroupRow {
  struct Member {
    std::int64_t id = 0;
    std::string text;
  };
  std::int64_t id = 0;
  std::string name;
  std::vector<Member> members;
};

}  // namespace policyd
