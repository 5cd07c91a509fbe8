// SPDX-License-Identifier: AGPL-3.0-only
// bench_count: what Redis can do with the script that counts, asked as daemons ask it, without one.
// It builds the calls and reads the replies with the daemon's own code, and decides nothing.
//
//   bench_count --port N [--mtas N] [--hosts N] [--batch N] [--calls N] [--counters N]
//               [--seconds S] [--script FILE]
//
// Asks as so many MTAs, each on a connection of its own with so many calls under way, of so many
// questions each; every question counts one unit in one counter. In each counter so many hosts have
// a part, the MTAs among them. --script measures another script than this build's.
// Prints one line of JSON: questions, seconds, per_second (questions), p50_us and p99_us (of a
// call's round trip), script_us (of a call within Redis, by its own account). Ends with 2 where
// Redis cannot be reached, or answers anything but that all is allowed.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bench_program.hpp"
#include "count_lua.hpp"
#include "daemon/cluster/count/count_call.hpp"
#include "daemon/cluster/count/counter_field.hpp"
#include "daemon/cluster/count/counter_name.hpp"
#include "daemon/cluster/reply_reader.hpp"

namespace {

using policyd::CountCall;
using policyd::CountNames;
using policyd::Millis;
using policyd::RedisReply;
using policyd::ReplyReader;
using policyd::TimePoint;
using policyd::Window;
using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;
using Words = std::vector<std::string>;

constexpr Millis kPeriod{std::chrono::hours{1}};
constexpr std::uint64_t kNeverReached = 1'000'000'000;
constexpr std::size_t kPairs = 2;  // of each host's part

struct Options {
  std::uint16_t port = 0;
  std::size_t mtas = 1;
  std::size_t hosts = 1;
  std::size_t batch = 1;
  std::size_t calls = 1;  // of each MTA, under way
  std::size_t counters = 2000;
  double seconds = 2;
  std::string script = policyd::kCountLua;
};

[[noreturn]] void fail(std::string_view what) {
  fmt::print(stderr, "bench_count: {}\n", what);
  std::exit(2);
}

[[noreturn]] void fail_errno(std::string_view what) {
  fail(fmt::format("{}: {}", what, std::strerror(errno)));
}

TimePoint wall_clock() { return std::chrono::floor<Millis>(std::chrono::system_clock::now()); }

class Connection {
 public:
  explicit Connection(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int on = 1;
    if (fd_ < 0 ||
        ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) {
      fail_errno(fmt::format("cannot connect to 127.0.0.1:{}", port));
    }
  }

  [[nodiscard]] int fd() const { return fd_; }

  void send(const Words& words) {
    policyd::append_redis_command(out_, words);
    std::string_view left = out_;
    while (!left.empty()) {
      const ssize_t sent = ::send(fd_, left.data(), left.size(), MSG_NOSIGNAL);
      if (sent < 0) fail_errno("cannot send a command");
      left.remove_prefix(static_cast<std::size_t>(sent));
    }
    out_.clear();
  }

  // Waits for bytes, unless there are some.
  void receive() {
    const ssize_t got = ::recv(fd_, in_.data(), in_.size(), 0);
    if (got <= 0) fail("Redis closed a connection");
    reader_.feed({in_.data(), static_cast<std::size_t>(got)});
  }

  // Whether there is a whole reply of what was received.
  bool take(RedisReply& reply) {
    ReplyReader::Next next = reader_.next();
    if (next.kind == ReplyReader::Next::Kind::need_more) return false;
    if (next.kind != ReplyReader::Next::Kind::reply) fail(fmt::format("Redis: {}", next.text));
    reply = std::move(next.reply);
    return true;
  }

  RedisReply ask(const Words& words) {
    send(words);
    RedisReply reply;
    while (!take(reply)) receive();
    return reply;
  }

 private:
  int fd_;
  std::string out_;
  std::array<char, 64 * 1024> in_{};
  ReplyReader reader_;
};

// The part of one host in each counter, as after some mails.
std::vector<Window> parts(std::size_t counters) {
  std::vector<Window> windows(counters);
  for (Window& window : windows) {
    for (std::size_t pair = kPairs; pair-- > 0;) {
      const auto when = wall_clock() - pair * kPeriod / (Window::kJoinParts / 2);
      window.advance(when, kPeriod);
      window.add(when, kPeriod, 1);
    }
  }
  return windows;
}

struct Call {
  CountCall call;
  std::vector<std::size_t> counters;
  Clock::time_point sent;
};

// One daemon, in so far as Redis can tell.
class Mta {
 public:
  Mta(const Options& options, CountNames names, const Words& counters, std::string hash,
      std::uint32_t seed)
      : options_(options),
        names_(std::move(names)),
        counter_names_(counters),
        hash_(std::move(hash)),
        connection_(options.port),
        own_(parts(counters.size())),
        order_(counters.size()) {
    for (std::size_t i = 0; i < order_.size(); ++i) order_[i] = i;
    std::shuffle(order_.begin(), order_.end(), std::mt19937{seed});
  }

  Connection& connection() { return connection_; }
  [[nodiscard]] bool is_waiting() const { return !under_way_.empty(); }

  // Every counter is in one call at a time, since calls take them in turn.
  void send_call() {
    Call& call = under_way_.emplace_back();
    for (std::size_t i = 0; i < options_.batch; ++i) {
      const std::size_t counter = order_[next_++ % order_.size()];
      own_[counter].advance(wall_clock(), kPeriod);
      call.counters.push_back(counter);
      call.call.counters.push_back(
          {counter_names_[counter], own_[counter], kPeriod, kNeverReached});
      call.call.questions.push_back({{{i, 1, 1, true}}});
    }
    Words words{"EVALSHA", hash_};
    policyd::append_count_words(words, names_, call.call);
    call.sent = Clock::now();
    connection_.send(words);
  }

  // Returns when the call was sent.
  Clock::time_point read_call(const RedisReply& reply) {
    const Call call = std::move(under_way_.front());
    under_way_.pop_front();
    const auto read = policyd::read_count_reply(reply, names_, call.call);
    if (!read) fail(read.error().message);
    for (const int verdict : read->verdicts) {
      if (verdict != policyd::CountReply::kAllowed) fail("the script does not allow all");
    }
    if (read->verdicts.empty()) fail("the script decides nothing");
    for (const std::size_t counter : call.counters) own_[counter].add(read->engine, kPeriod, 1);
    return call.sent;
  }

 private:
  const Options& options_;
  CountNames names_;
  const Words& counter_names_;
  std::string hash_;
  Connection connection_;
  std::vector<Window> own_;  // of each counter
  std::vector<std::size_t> order_;
  std::size_t next_ = 0;
  std::deque<Call> under_way_;
};

struct Result {
  std::vector<float> latencies_us;  // of calls
  double seconds = 0;
};

class Bench {
 public:
  explicit Bench(const Options& options) : options_(options), control_(options.port) {
    for (std::size_t i = 0; i < options.counters; ++i) {
      counters_.push_back(policyd::counter_name(4, fmt::format("Sender:s{:08x}@example.org", i)));
    }
    control_.ask({"SET", names(0).epoch_key(), names(0).epoch});
    store_parts();
    const std::string hash = control_.ask({"SCRIPT", "LOAD", options.script}).text;
    for (std::size_t i = 0; i < options.mtas; ++i) {
      mtas_.push_back(
          std::make_unique<Mta>(options, names(i), counters_, hash, static_cast<std::uint32_t>(i)));
    }
  }

  Result run() {
    const auto begun = Clock::now();
    const auto end = begun + std::chrono::duration_cast<Clock::duration>(Seconds(options_.seconds));
    std::vector<pollfd> polled;
    for (const auto& mta : mtas_) polled.push_back({mta->connection().fd(), POLLIN, 0});
    for (const auto& mta : mtas_) {
      for (std::size_t i = 0; i < options_.calls; ++i) mta->send_call();
    }
    Result result;
    const auto is_waiting = [](const auto& mta) { return mta->is_waiting(); };
    while (std::any_of(mtas_.begin(), mtas_.end(), is_waiting)) {
      if (::poll(polled.data(), polled.size(), 10'000) <= 0) fail("no answer within ten seconds");
      for (std::size_t i = 0; i < mtas_.size(); ++i) {
        if (polled[i].revents == 0) continue;
        Mta& mta = *mtas_[i];
        mta.connection().receive();
        RedisReply reply;
        while (mta.connection().take(reply)) {
          const auto sent = mta.read_call(reply);
          const auto now = Clock::now();
          const std::chrono::duration<float, std::micro> latency = now - sent;
          result.latencies_us.push_back(latency.count());
          if (now < end) mta.send_call();
        }
      }
    }
    result.seconds = Seconds(Clock::now() - begun).count();
    return result;
  }

  // How long Redis has spent on scripts so far, all of its clients'.
  double script_us() {
    const std::string text = control_.ask({"INFO", "commandstats"}).text;
    constexpr std::string_view kBefore = "cmdstat_evalsha:";
    constexpr std::string_view kUsec = "usec=";
    const auto line = text.find(kBefore);
    if (line == std::string::npos) return 0;
    const auto digits = text.find(kUsec, line) + kUsec.size();
    return std::strtod(text.c_str() + digits, nullptr);
  }

 private:
  [[nodiscard]] static CountNames names(std::size_t host) {
    return {"bench:", fmt::format("mta{}.example.org", host + 1), "epoch"};
  }

  // Of each counter, and of nobody else an earlier run had.
  void store_parts() {
    const std::vector<Window> windows = parts(1);
    std::string field;
    policyd::put_double(field, static_cast<double>(windows.front().use()));
    policyd::append_field_pairs(field, windows.front());
    for (const std::string& counter : counters_) {
      const std::string key = names(0).counter_key(counter);
      control_.ask({"DEL", key});
      Words words{"HSET", key};
      for (std::size_t host = 0; host < options_.hosts; ++host) {
        words.insert(words.end(), {names(host).node, field});
      }
      control_.ask(words);
    }
  }

  const Options& options_;
  Connection control_;
  Words counters_;
  std::vector<std::unique_ptr<Mta>> mtas_;
};

bool read_file(std::string_view path, std::string& text) {
  std::ifstream file{std::string(path)};
  text.assign(std::istreambuf_iterator<char>(file), {});
  return file && !text.empty();
}

bool parse_options(std::span<char*> arguments, Options& options) {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view name = arguments[i];
    if (++i == arguments.size()) return false;
    const std::string_view value = arguments[i];
    const bool good = name == "--port"       ? parse_number(value, options.port)
                      : name == "--mtas"     ? parse_number(value, options.mtas)
                      : name == "--hosts"    ? parse_number(value, options.hosts)
                      : name == "--batch"    ? parse_number(value, options.batch)
                      : name == "--calls"    ? parse_number(value, options.calls)
                      : name == "--counters" ? parse_number(value, options.counters)
                      : name == "--seconds"  ? parse_number(value, options.seconds)
                      : name == "--script"   ? read_file(value, options.script)
                                             : false;
    if (!good) return false;
  }
  // Three numbers for each counter of a call, and four for each question.
  return options.port != 0 && options.mtas > 0 && options.hosts >= options.mtas &&
         options.batch > 0 && options.batch * 7 <= policyd::kMaxNumbers && options.calls > 0 &&
         options.counters >= options.batch * options.calls && options.seconds > 0 &&
         options.seconds <= 3600;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (!parse_options(std::span(argv, static_cast<std::size_t>(argc)).subspan(1), options)) {
    std::fputs(
        "usage: bench_count --port N [--mtas N] [--hosts N] [--batch N] [--calls N] [--counters N] "
        "[--seconds S] [--script FILE]\n",
        stderr);
    return 1;
  }
  Bench bench(options);
  const double before_us = bench.script_us();
  Result result = bench.run();
  const double script_us = bench.script_us() - before_us;
  const std::size_t calls = result.latencies_us.size();
  const std::size_t questions = calls * options.batch;
  const float p50 = percentile(result.latencies_us, 0.50);
  const float p99 = percentile(result.latencies_us, 0.99);
  fmt::print(
      "{{\"questions\": {}, \"seconds\": {:.3f}, \"per_second\": {:.1f}, \"p50_us\": {:.1f}, "
      "\"p99_us\": {:.1f}, \"script_us\": {:.2f}}}\n",
      questions, result.seconds, static_cast<double>(questions) / result.seconds, p50, p99,
      script_us / static_cast<double>(calls));
}
