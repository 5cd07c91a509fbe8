// SPDX-License-Identifier: AGPL-3.0-only
// What `carbonio-limits reset` asks of all MTAs, as entries of a stream in the engine. Each MTA
// clears its own part of the counters, since it is the only writer of its fields, and says so in a
// hash of the entry. What is read is bounded: any program may have written it. Pure functions.
//
// In the engine: PREFIX resets, a stream of the last kMaxResets; PREFIX resets:done:ID, a hash of
// MTA -> how many counters it has cleared, for kDoneSeconds.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/base/result.hpp"
#include "daemon/cluster/redis.hpp"

namespace policyd {

// Of an entry: the engine's time at which it was added, and a number. Rises with each entry.
struct ResetId {
  std::uint64_t ms = 0;
  std::uint64_t number = 0;

  static std::optional<ResetId> parse(std::string_view text);
  [[nodiscard]] std::string to_string() const;
  [[nodiscard]] ResetId next() const;
  [[nodiscard]] TimePoint time() const;
  // NOLINTNEXTLINE(modernize-use-nullptr): the 0 that clang-tidy 14 sees in <=> is not a pointer
  auto operator<=>(const ResetId&) const = default;
};

struct ResetRequest {
  enum class Kind : std::uint8_t {
    clear,   // these counters
    forget,  // what is known to be full: counters have been cleared on all MTAs
  };
  Kind kind = Kind::clear;
  std::vector<std::int64_t> limit_ids;  // rows of quotas_limits
  std::vector<std::string> keys;        // track keys; none: all counters of these limits

  bool operator==(const ResetRequest&) const = default;
};

struct ResetEntry {
  ResetId id;
  ResetRequest request;
};

inline constexpr std::size_t kMaxResets = 1'000;
inline constexpr std::size_t kMaxResetLimits = 100'000;
inline constexpr std::size_t kMaxResetKeys = 1'000;
inline constexpr std::size_t kMaxResetKeyBytes = 2'000;
inline constexpr std::string_view kDoneSeconds = "86400";

std::string resets_key(const std::string& prefix);
std::string resets_done_key(const std::string& prefix, const ResetId& id);

// The command that adds it; its reply is the id.
std::vector<std::string> words_to_add(const std::string& prefix, const ResetRequest& request);
// The command for those after `id`, oldest first.
std::vector<std::string> words_to_read(const std::string& prefix, const ResetId& after);

// The command that removes from these counters (counter_name) the fields of MTAs that are no longer
// in the cluster, of which `node` is none; its reply is how many counters had some.
std::vector<std::string> words_to_clear_gone(const std::string& prefix, const std::string& node,
                                             const std::vector<std::string>& counters);

struct ReadResets {
  std::vector<ResetEntry> entries;
  ResetId last;             // of all that were read, also those that are none of ours
  std::size_t strange = 0;  // those
};
// An Error says that the reply is none of a stream.
Result<ReadResets> resets_of(const RedisReply& reply);

}  // namespace policyd
