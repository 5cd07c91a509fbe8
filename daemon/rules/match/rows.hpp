// SPDX-License-Identifier: AGPL-3.0-only
// The rows that matching is built from, as values, and what is wrong with one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace policyd {

// A row of the database that cannot be used, or only in part. Logged once per snapshot.
struct RowProblem {
  std::string table;
  std::int64_t id = 0;
  std::string what;  // "member 'foo bar' is no address, network, group or host name"
};

// policy_members, enabled ones of enabled policies. `policy` is the policy's place in the order of
// (Priority, ID), so that matches sorted by it are in the order in which they apply.
struct MemberRow {
  std::int64_t id = 0;
  std::uint32_t policy = 0;
  std::optional<std::string> source;       // NULL matches everything
  std::optional<std::string> destination;  // NULL matches everything
};

// policy_groups with the enabled policy_group_members, these in the order of their IDs (nothing
// behind a member that is an error is tried); disabled groups are given without members.
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
