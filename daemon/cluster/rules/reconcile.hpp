// SPDX-License-Identifier: AGPL-3.0-only
// Which rules hold: this host's, or those that the cluster has published. Works on the database,
// where table limits_cluster remembers what was last published and equal to the rules here, and
// limits_cluster_past what was before; may wait for a lock, so not on the loop's thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/base/result.hpp"
#include "daemon/sqlite/sqlite.hpp"

namespace policyd {

// A version of the rules that the engine has: numbers rise with each change on any host.
struct PublishedRules {
  std::int64_t version = 0;  // 0: none yet
  std::string digest;        // sha1_of
  // given_ids of the host that published them; not remembered, and no part of what rules are equal.
  std::string ids = {};

  bool operator==(const PublishedRules& other) const {
    return version == other.version && digest == other.digest;
  }
};

struct RuleStep {
  enum class Kind : std::uint8_t {
    agree,    // the rules here are those
    publish,  // the rules here are newer: publish `rules`, unless other rules came before. Also if
              // the engine has gone back to older ones, as it does when it loses its last writes
    take,     // the rules there are newer: get them, and then take_rules()
    choose,   // both are rules of somebody, and nobody has said which hold
  };
  Kind kind = Kind::agree;
  std::string rules;         // to publish
  std::string digest;        // of the rules here
  std::string ids;           // to publish: given_ids
  std::int64_t version = 0;  // to publish as: higher than all that was seen
};

struct RuleDatabase {
  std::filesystem::path file;
  std::string table_prefix;
};

// What to do, now that `published` is what the engine has. Remembers that they agree, if they do,
// and gives no IDs here that were given there.
Result<RuleStep> next_rule_step(const RuleDatabase& database, const PublishedRules& published);

// The rules here were published as `published`.
Result<void> remember_published(const RuleDatabase& database, const PublishedRules& published);

// Replaces the rules here by `rules`, which are those of `published`, in one transaction. Changes
// made here that were never published, or that the engine lost, are kept as statements in a file
// beside the database, whose name is returned; empty if there were none.
Result<std::filesystem::path> take_rules(const RuleDatabase& database, std::string_view rules,
                                         const PublishedRules& published, TimePoint now);

// How many hosts share the limits, with this one: for a start without the engine. 1 if that is not
// known; does not wait.
Result<void> remember_hosts(const RuleDatabase& database, std::size_t hosts);
std::size_t remembered_hosts(const RuleDatabase& database);

// For commands that change rules: what limits_cluster remembers.
struct RememberedRules {
  PublishedRules last;  // published, and once equal to the rules here
  std::string choice;   // "theirs", "ours" or nothing, see choose_rules()
};
Result<RememberedRules> remembered_rules(sqlite3* db, std::string_view table_prefix);
// Whether the rules here are those last published; reads all of them.
Result<bool> is_published(const RuleDatabase& database);
// The files in which take_rules() kept changes of this host, sorted.
std::vector<std::filesystem::path> kept_rules(const RuleDatabase& database);

// For `carbonio-limits cluster join`: which rules hold where both have some; until that is done.
enum class RuleChoice : std::uint8_t { theirs, ours };
Result<void> choose_rules(const RuleDatabase& database, RuleChoice choice);

// For `carbonio-limits cluster leave`: what was published, and which resets were done
// (reset/reset_record), is no longer known.
Result<void> forget_published(const RuleDatabase& database);

}  // namespace policyd
