// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/cluster/greylist/triplet_call.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <utility>

#include "daemon/base/printable.hpp"

namespace policyd {

namespace {

using Time = GreylistingTables::Time;
using std::chrono::seconds;

// All hosts use the engine's clock: what is later than this was not written by one of them.
constexpr seconds kAhead{60};

std::string text_of_time(Time time) { return std::to_string(time.time_since_epoch().count()); }

std::string member_of(const TripletNames& names) {
  return fmt::format("{}:{}:{}", names.sender.size(), names.sender, names.recipient);
}

std::string track_key_name(const std::string& prefix, char kind, std::string_view track_key) {
  return fmt::format("{}g:{}:{}", prefix, kind, track_key);
}

std::string triplet_name(const std::string& prefix, const TripletNames& names) {
  return fmt::format("{}:{}", track_key_name(prefix, 't', names.track_key), member_of(names));
}

RedisWords set_for(std::string key, Time time, seconds keep_for) {
  return {"SET", std::move(key), text_of_time(time), "EX",
          std::to_string(std::max(keep_for, seconds{1}).count())};
}

void append_counted(std::vector<RedisWords>& commands, const std::string& key, Time first_seen,
                    const std::string& member, seconds count_for) {
  commands.push_back({"ZADD", key, text_of_time(first_seen), member});
  commands.push_back({"ZREMRANGEBYRANK", key, "0", std::to_string(-kMaxTripletsCounted - 1)});
  commands.push_back({"EXPIRE", key, std::to_string(count_for.count())});
}

Error foreign_key(const RedisWords& command) {
  return {
      fmt::format("the key {} is not one of ours; delete it", in_quotes(command[1], kMaxKeyShown))};
}

// False if it is not a time that a host wrote; nothing at all is fine.
bool read_time(const RedisReply& reply, Time now, std::optional<Time>& time) {
  if (reply.kind == RedisReply::Kind::nothing) return true;
  if (reply.kind != RedisReply::Kind::text) return false;
  std::int64_t count = 0;
  const char* const end = reply.text.data() + reply.text.size();
  const auto [stop, error] = std::from_chars(reply.text.data(), end, count);
  const seconds latest = now.time_since_epoch() + kAhead;
  if (error != std::errc{} || stop != end || count < 0 || count > latest.count()) return false;
  time = std::min(Time{seconds{count}}, now);
  return true;
}

bool read_is_member(const RedisReply& reply, bool& is_member) {
  is_member = reply.kind == RedisReply::Kind::text;
  return is_member || reply.kind == RedisReply::Kind::nothing;
}

bool read_count(const RedisReply& reply, std::int64_t& count) {
  if (reply.kind != RedisReply::Kind::number || reply.number < 0) return false;
  count = std::min(reply.number, kMaxTripletsCounted);
  return true;
}

}  // namespace

std::vector<RedisWords> triplet_question_commands(const std::string& prefix,
                                                  const TripletQuestion& question) {
  const TripletNames names = question.names();
  std::vector<RedisWords> commands{{"GET", triplet_name(prefix, names)}};
  if (!question.uses_lists()) return commands;
  const std::string member = member_of(names);
  const std::string seen = track_key_name(prefix, 's', names.track_key);
  const std::string passed = track_key_name(prefix, 'p', names.track_key);
  const auto since = [&](seconds period) {
    return text_of_time(question.now - std::min(period, question.now.time_since_epoch()));
  };
  commands.push_back({"GET", track_key_name(prefix, 'w', names.track_key)});
  commands.push_back({"GET", track_key_name(prefix, 'b', names.track_key)});
  commands.push_back({"ZSCORE", seen, member});
  commands.push_back({"ZSCORE", passed, member});
  for (const seconds period : {question.whitelist_period, question.blacklist_period}) {
    commands.push_back({"ZCOUNT", seen, since(period), "+inf"});
    commands.push_back({"ZCOUNT", passed, since(period), "+inf"});
  }
  return commands;
}

// In the order of the commands.
Result<TripletAnswer> read_triplet_answer(const std::vector<RedisWords>& commands,
                                          const TripletQuestion& question,
                                          const std::vector<Result<RedisReply>>& replies) {
  if (replies.size() != commands.size()) return failure("the engine does not answer everything");
  TripletAnswer answer;
  std::size_t at = 0;
  std::optional<Error> problem;
  const auto next = [&](const auto& read, auto&... out) {
    if (problem || at >= replies.size()) return;
    const auto& reply = replies[at];
    if (!reply) {
      problem = explain_redis_error(commands[at], reply.error());
    } else if (!read(*reply, out...)) {
      problem = foreign_key(commands[at]);
    }
    ++at;
  };
  const auto time = [&](const RedisReply& reply, std::optional<Time>& out) {
    return read_time(reply, question.now, out);
  };
  next(time, answer.first_seen);
  if (question.uses_lists()) {
    next(time, answer.whitelist_seen);
    next(time, answer.blacklist_added);
    next(read_is_member, answer.is_counted);
    next(read_is_member, answer.is_counted_as_passed);
    next(read_count, answer.in_whitelist_period.total);
    next(read_count, answer.in_whitelist_period.passed);
    next(read_count, answer.in_blacklist_period.total);
    next(read_count, answer.in_blacklist_period.passed);
  }
  if (problem) return tl::unexpected{std::move(*problem)};
  answer.answered = true;
  answer.track_key = question.track_key;
  return answer;
}

std::vector<RedisWords> tell_triplet_commands(const std::string& prefix, const TripletNames& names,
                                              TripletState state, Time first_seen, seconds keep_for,
                                              seconds count_for) {
  std::vector<RedisWords> commands{set_for(triplet_name(prefix, names), first_seen, keep_for)};
  // Another host may have seen it at the same time.
  if (state == TripletState::first_seen) commands.back().emplace_back("NX");
  if (count_for.count() <= 0) return commands;
  const std::string member = member_of(names);
  append_counted(commands, track_key_name(prefix, 's', names.track_key), first_seen, member,
                 count_for);
  if (state != TripletState::passed) return commands;
  append_counted(commands, track_key_name(prefix, 'p', names.track_key), first_seen, member,
                 count_for);
  return commands;
}

RedisWords tell_listed_command(const std::string& prefix, TripletList list,
                               std::string_view track_key, Time time, seconds keep_for) {
  return set_for(track_key_name(prefix, static_cast<char>(list), track_key), time, keep_for);
}

Error explain_redis_error(const RedisWords& command, const Error& error) {
  if (error.message.starts_with("WRONGTYPE")) return foreign_key(command);
  return {fmt::format("the engine answers: {}", printable(error.message, kMaxKeyShown))};
}

}  // namespace policyd
