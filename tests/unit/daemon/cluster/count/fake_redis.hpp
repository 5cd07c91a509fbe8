// SPDX-License-Identifier: AGPL-3.0-only
// A Redis whose replies the test gives: it greets, and tells of nodes, by itself; calls of the
// script wait in `calls` until they are answered, or for ever.
#pragma once

#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "../../loop/manual_loop.hpp"
#include "daemon/cluster/redis.hpp"
#include "daemon/counting/state_bytes.hpp"

namespace policyd {

inline RedisReply text_reply(std::string text) {
  return {RedisReply::Kind::text, 0, std::move(text), {}};
}
inline RedisReply number_reply(std::int64_t number) {
  return {RedisReply::Kind::number, number, {}, {}};
}
inline RedisReply list_reply(std::vector<RedisReply> list) {
  return {RedisReply::Kind::list, 0, {}, std::move(list)};
}
inline RedisReply list_of(const std::vector<std::int64_t>& numbers) {
  RedisReply reply = list_reply({});
  for (const std::int64_t number : numbers) reply.list.push_back(number_reply(number));
  return reply;
}

class FakeRedis final : public Redis {
 public:
  struct Call {
    std::vector<std::string> words;
    Done done;

    [[nodiscard]] std::size_t keys() const { return std::stoul(words[2]); }
    [[nodiscard]] std::size_t counters() const { return keys() - 1; }
    [[nodiscard]] const std::string& key(std::size_t counter) const { return words[4 + counter]; }
    [[nodiscard]] const std::string& pairs(std::size_t counter) const {
      return words[3 + keys() + 3 + counter];
    }
    [[nodiscard]] std::vector<double> numbers() const {
      StateReader reader{words[3 + keys() + 2]};
      std::vector<double> numbers;
      while (const auto number = reader.number()) numbers.push_back(*number);
      return numbers;
    }
    [[nodiscard]] double own_use(std::size_t counter) const { return numbers()[3 * counter]; }
    [[nodiscard]] std::size_t questions() const {
      const auto all = numbers();
      std::size_t count = 0;
      for (std::size_t at = 3 * counters(); at < all.size();
           at += 1 + 3 * static_cast<std::size_t>(all[at])) {
        ++count;
      }
      return count;
    }
  };

  explicit FakeRedis(ManualLoop& loop) : loop_(loop) {}

  [[nodiscard]] bool ready() const override { return is_ready; }
  [[nodiscard]] const std::string& trouble() const override { return why_not; }
  [[nodiscard]] std::uint64_t connections() const override { return connection; }

  void command(std::vector<std::string> words, Done done) override {
    if (!is_ready) return later(std::move(done), failure(why_not));
    if (words[0] == "EVALSHA" || words[0] == "EVAL") {
      calls.push_back({std::move(words), std::move(done)});
      return;
    }
    commands.push_back(words);
    if (is_silent) return;
    if (const auto error = errors.find(words[0]); error != errors.end()) {
      return later(std::move(done), failure(error->second));
    }
    later(std::move(done), answer(words));
  }

  // Answers the oldest call.
  void reply(Result<RedisReply> result) {
    Call call = std::move(calls.front());
    calls.pop_front();
    call.done(result);
    loop_.run_posted();
  }
  // As the script does if it allows everything.
  void allow() {
    const Call& call = calls.front();
    reply(
        list_reply({number_reply(time_ms), list_of(std::vector<std::int64_t>(call.questions(), -1)),
                    list_of(std::vector<std::int64_t>(call.counters(), 0)), list_reply({})}));
  }
  void lose_connection() {
    is_ready = false;
    ++connection;
    for (auto lost = std::exchange(calls, {}); Call & call : lost) {
      call.done(failure("the connection was lost"));
    }
    loop_.run_posted();
  }

  bool is_ready = true;
  bool is_silent = false;  // no reply to anything
  std::string why_not = "nothing is connected";
  std::uint64_t connection = 1;
  std::int64_t time_ms = 1'800'000'000'000;
  std::string run_id = "first";
  std::string epoch;
  std::map<std::string, std::string> nodes;
  std::map<std::string, std::string> errors;  // of commands
  std::deque<Call> calls;
  std::vector<std::vector<std::string>> commands;

 private:
  void later(Done done, Result<RedisReply> result) {
    loop_.post([done = std::move(done), result = std::move(result)] { done(result); });
  }

  RedisReply answer(const std::vector<std::string>& words) {
    const std::string& name = words[0];
    if (name == "SCRIPT") return text_reply("hash");
    if (name == "INFO") return text_reply("# Server\r\nrun_id:" + run_id + "\r\n");
    if (name == "TIME") {
      return list_reply({text_reply(std::to_string(time_ms / 1000)),
                         text_reply(std::to_string(time_ms % 1000 * 1000))});
    }
    if (name == "SET") {
      if (!epoch.empty()) return {};
      epoch = words[2];
      return text_reply("OK");
    }
    if (name == "GET") return epoch.empty() ? RedisReply{} : text_reply(epoch);
    if (name == "HSET") nodes[words[2]] = words[3];
    if (name == "HDEL") nodes.erase(words[2]);
    if (name != "HGETALL") return number_reply(1);
    RedisReply all = list_reply({});
    for (const auto& [node, json] : nodes) {
      all.list.push_back(text_reply(node));
      all.list.push_back(text_reply(json));
    }
    return all;
  }

  ManualLoop& loop_;
};

}  // namespace policyd
