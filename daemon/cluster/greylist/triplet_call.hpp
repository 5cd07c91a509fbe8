// SPDX-License-Identifier: AGPL-3.0-only
// What Redis has of Greylisting, the commands that read and write it, and what the replies say.
// Times are seconds since 1970, as text. Keys, after the prefix, TRIPLET being
// "LENGTH:SENDER:RECIPIENT" with the sender's length:
//
//   g:t:TRACKKEY:TRIPLET   when it was first seen
//   g:w:TRACKKEY           on the whitelist: when it was last seen
//   g:b:TRACKKEY           on the blacklist: when it was added
//   g:s:TRACKKEY           for the lists: all triplets, by when they were first seen (sorted set)
//   g:p:TRACKKEY           for the lists: those that were let through, likewise
//
// Pure.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/result.hpp"
#include "daemon/cluster/redis.hpp"
#include "daemon/store/shared_greylisting.hpp"

namespace policyd {

using RedisWords = std::vector<std::string>;

// A track key counts this many triplets, the newest: its lists are decided by these.
inline constexpr std::int64_t kMaxTripletsCounted = 100'000;

// Names of keys as messages show them.
inline constexpr std::size_t kMaxKeyShown = 200;

// All are sent together, and answered in order.
[[nodiscard]] std::vector<RedisWords> triplet_question_commands(const std::string& prefix,
                                                                const TripletQuestion& question);
// An Error says what is wrong with which key, or what the engine says.
[[nodiscard]] Result<TripletAnswer> read_triplet_answer(
    const std::vector<RedisWords>& commands, const TripletQuestion& question,
    const std::vector<Result<RedisReply>>& replies);

[[nodiscard]] std::vector<RedisWords> tell_triplet_commands(const std::string& prefix,
                                                            const TripletNames& names,
                                                            TripletState state,
                                                            GreylistingTables::Time first_seen,
                                                            std::chrono::seconds keep_for,
                                                            std::chrono::seconds count_for);
enum class TripletList : char { white = 'w', black = 'b' };
[[nodiscard]] RedisWords tell_listed_command(const std::string& prefix, TripletList list,
                                             std::string_view track_key,
                                             GreylistingTables::Time time,
                                             std::chrono::seconds keep_for);

// What is wrong with the reply to a command, for messages.
[[nodiscard]] Error explain_redis_error(const RedisWords& command, const Error& error);

}  // namespace policyd
