// SPDX-License-Identifier: AGPL-3.0-only
// (rules, request) → the policies that concern it, in order. The index is built once per snapshot
// of the rules, on whatever thread loads them, and never changes afterwards; a Matcher is the
// scratch space of one thread. Rules of matching: CBPolicyD, "Policies" (README, "Matching").
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "daemon/request.hpp"

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

class MatchIndex {
 public:
  // Problems found in rows are appended to `problems`; nothing is thrown for them.
  MatchIndex(std::span<const MemberRow> members, std::span<const GroupRow> groups,
             std::vector<RowProblem>& problems);
  ~MatchIndex();
  MatchIndex(MatchIndex&&) noexcept;
  MatchIndex& operator=(MatchIndex&&) noexcept;

 private:
  friend class Matcher;
  struct Data;
  std::unique_ptr<Data> data_;
};

class Matcher {
 public:
  Matcher();
  ~Matcher();
  Matcher(const Matcher&) = delete;
  Matcher& operator=(const Matcher&) = delete;

  // The `policy` numbers of the members that match, ascending, each once. The span is valid until
  // the next call. Allocates only while its scratch grows to the size of a new index.
  std::span<const std::uint32_t> match(const MatchIndex& index, const Request& request);

 private:
  struct Scratch;
  std::unique_ptr<Scratch> scratch_;
};

// One item of a list, or a whole Source or Destination, tried without an index, with the reason
// in words: what `carbonio-limits explain` shows, and what the index is tested against.
struct PlainMatch {
  bool matches = false;
  std::string because;  // "sender matches '@example.org'", "'!%partners' fails: ..."
};
enum class Side : std::uint8_t { source, destination };
PlainMatch plain_match(const std::optional<std::string>& list, Side side, const Request& request,
                       std::span<const GroupRow> groups);

}  // namespace policyd
