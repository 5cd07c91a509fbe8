// SPDX-License-Identifier: AGPL-3.0-only
// One call of count.lua: what it is asked, as words for Redis, and what its reply says. Pure, but
// for the last.
#pragma once

#include <boost/container/small_vector.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/base/result.hpp"
#include "daemon/cluster/redis.hpp"
#include "daemon/counting/window.hpp"
#include "daemon/loop/event_loop.hpp"

namespace policyd {

struct CalledCounter {
  std::string name;
  Window own;  // this MTA's part, with what is allowed but not counted yet
  Millis period{0};
  std::uint64_t limit = 0;  // 0: it is only written
};

struct CalledQuestion {
  struct Part {
    std::size_t counter = 0;  // of the call
    std::uint64_t asked = 0;
    std::uint64_t units = 0;
    bool bites = true;
  };
  boost::container::small_vector<Part, 2> parts;
};

struct CountCall {
  std::vector<CalledCounter> counters;
  std::vector<CalledQuestion> questions;
};

struct CountNames {
  std::string prefix;
  std::string node;   // this MTA's field
  std::string epoch;  // its value

  [[nodiscard]] std::string epoch_key() const { return prefix + "epoch"; }
  [[nodiscard]] std::string nodes_key() const { return prefix + "nodes"; }
  [[nodiscard]] std::string counter_key(const std::string& name) const {
    std::string key;
    key.reserve(prefix.size() + 2 + name.size());
    key.append(prefix).append("c:").append(name);
    return key;
  }
};

struct CountReply {
  static constexpr int kAllowed = -1;
  static constexpr int kNoCounter = -2;

  struct Full {
    std::size_t counter = 0;
    Window others;
  };
  TimePoint engine;
  std::vector<int> verdicts;  // of the questions: kAllowed, kNoCounter, or which part
  std::vector<std::optional<std::uint64_t>> others;  // of the counters; nullopt: not a counter
  std::vector<Full> full;
  std::size_t damaged = 0;   // fields that are no MTA's part
  bool other_epoch = false;  // nothing was decided
};

// The words after "EVALSHA HASH" or "EVAL SCRIPT". A script reads at most kMaxNumbers numbers.
inline constexpr std::size_t kMaxNumbers = 7'000;
void append_count_words(std::vector<std::string>& words, const CountNames& names,
                        const CountCall& call);
// An Error says that it is none.
[[nodiscard]] Result<CountReply> read_count_reply(const RedisReply& reply, const CountNames& names,
                                                  const CountCall& call);

// Runs the script, whose hash is given, and sends it if the server has forgotten it. `guard` is of
// the owner of `names`.
void run_count_script(Redis& redis, const EventLoop::Guard& guard, const std::string& hash,
                      const CountNames& names, std::shared_ptr<const CountCall> call,
                      Redis::Done done);

}  // namespace policyd
