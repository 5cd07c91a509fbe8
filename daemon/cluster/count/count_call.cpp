// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/cluster/count/count_call.hpp"

#include <utility>

#include "count_lua.hpp"
#include "daemon/cluster/count/counter_field.hpp"

namespace policyd {

namespace {

constexpr double kNeverExceeds = -1e300;  // in place of what must be free

void put_count(std::string& out, std::uint64_t count) {
  put_double(out, static_cast<double>(count));
}

tl::unexpected<Error> no_reply() { return failure("its reply is not one of our script"); }

bool is_list(const RedisReply& reply, std::size_t size) {
  return reply.kind == RedisReply::Kind::list && reply.list.size() == size;
}

bool is_number(const RedisReply& reply, std::int64_t least, std::int64_t most) {
  return reply.kind == RedisReply::Kind::number && reply.number >= least && reply.number <= most;
}

// The windows of all other MTAs: field, bytes, field, bytes...
std::optional<Window> merge_others(const RedisReply& flat, const CountNames& names,
                                   std::size_t& damaged) {
  if (flat.kind != RedisReply::Kind::list || flat.list.size() % 2 != 0) return std::nullopt;
  Window all;
  for (std::size_t i = 0; i < flat.list.size(); i += 2) {
    if (flat.list[i].text == names.node) continue;
    if (const auto window = window_of_field(flat.list[i + 1].text)) {
      all.merge(*window);
    } else {
      ++damaged;
    }
  }
  return all;
}

}  // namespace

void append_count_words(std::vector<std::string>& words, const CountNames& names,
                        const CountCall& call) {
  words.reserve(words.size() + 5 + 2 * call.counters.size());
  words.push_back(std::to_string(1 + call.counters.size()));
  words.push_back(names.epoch_key());
  for (const CalledCounter& counter : call.counters) {
    words.push_back(names.counter_key(counter.name));
  }
  words.push_back(names.node);
  words.push_back(names.epoch);

  std::string& numbers = words.emplace_back();
  // Most questions have one counter.
  numbers.reserve((3 * call.counters.size() + 4 * call.questions.size()) * kDoubleBytes);
  for (const CalledCounter& counter : call.counters) {
    put_count(numbers, counter.own.use());
    put_count(numbers, counter.limit);
    put_count(numbers, static_cast<std::uint64_t>(counter.period.count()));
  }
  for (const CalledQuestion& question : call.questions) {
    put_count(numbers, question.parts.size());
    for (const CalledQuestion::Part& part : question.parts) {
      put_count(numbers, part.counter + 1);
      put_double(numbers, part.bites ? static_cast<double>(part.asked) : kNeverExceeds);
      put_count(numbers, part.units);
    }
  }
  for (const CalledCounter& counter : call.counters) {
    append_field_pairs(words.emplace_back(), counter.own);
  }
}

Result<CountReply> read_count_reply(const RedisReply& reply, const CountNames& names,
                                    const CountCall& call) {
  CountReply read;
  if (is_list(reply, 1) && reply.list[0].kind == RedisReply::Kind::text) {
    read.other_epoch = true;
    return read;
  }
  constexpr auto kMax = static_cast<std::int64_t>(Window::kMaxUnits);
  if (!is_list(reply, 4) || !is_number(reply.list[0], 1, kMax) ||
      !is_list(reply.list[1], call.questions.size()) ||
      !is_list(reply.list[2], call.counters.size()) ||
      reply.list[3].kind != RedisReply::Kind::list || reply.list[3].list.size() % 2 != 0) {
    return no_reply();
  }
  read.engine = TimePoint{Millis{reply.list[0].number}};
  read.verdicts.reserve(call.questions.size());
  read.others.reserve(call.counters.size());
  for (std::size_t i = 0; i < call.questions.size(); ++i) {
    const RedisReply& verdict = reply.list[1].list[i];
    const auto parts = static_cast<std::int64_t>(call.questions[i].parts.size());
    if (!is_number(verdict, CountReply::kNoCounter, parts - 1)) return no_reply();
    read.verdicts.push_back(static_cast<int>(verdict.number));
  }
  for (const RedisReply& use : reply.list[2].list) {
    if (!is_number(use, -1, kMax)) return no_reply();
    read.others.push_back(use.number < 0 ? std::nullopt
                                         : std::optional{static_cast<std::uint64_t>(use.number)});
  }
  const auto& full = reply.list[3].list;
  for (std::size_t i = 0; i < full.size(); i += 2) {
    if (!is_number(full[i], 1, static_cast<std::int64_t>(call.counters.size()))) return no_reply();
    auto others = merge_others(full[i + 1], names, read.damaged);
    if (!others) return no_reply();
    read.full.push_back({static_cast<std::size_t>(full[i].number - 1), std::move(*others)});
  }
  return read;
}

void run_count_script(Redis& redis, const EventLoop::Guard& guard, const std::string& hash,
                      const CountNames& names, std::shared_ptr<const CountCall> call,
                      Redis::Done done) {
  std::vector<std::string> words{"EVALSHA", hash};
  append_count_words(words, names, *call);
  auto answered = [&redis, &names, call = std::move(call),
                   done = std::move(done)](const Result<RedisReply>& reply) {
    const bool forgotten = !reply && reply.error().message.rfind("NOSCRIPT", 0) == 0;
    if (!forgotten) return done(reply);
    std::vector<std::string> whole{"EVAL", kCountLua};
    append_count_words(whole, names, *call);
    redis.command(std::move(whole), done);
  };
  redis.command(std::move(words), guard.wrap(std::move(answered)));
}

}  // namespace policyd
