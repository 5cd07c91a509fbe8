// SPDX-License-Identifier: AGPL-3.0-only
// bench_load: asks a policy server as many Postfix processes would, and measures. Each of its
// connections has one request outstanding and sends the next when it is answered (closed loop), as
// smtpd does. Every request is about a new message (RCPT), with all attributes that Postfix sends.
//
//   bench_load --port N [--connections N] [--seconds S] [--warmup S] [--senders N] [--random]
//              [--requests N] [--tail TEXT]
//
// The senders are s00000000@example.org and so on, with --tail another text after the digits.
// With --requests it ends after so many, the warm-up's included, if the seconds last so long.
// Prints one line of JSON: requests, seconds, per_second, passed (DUNNO), refused (anything else),
// p50_us, p99_us, max_us. Ends with 2 where the server closes a connection or cannot be reached.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
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
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bench_program.hpp"

namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

struct Options {
  std::uint16_t port = 0;
  std::size_t connections = 1;
  double seconds = 2;
  double warmup_s = 0.2;
  std::uint32_t senders = 1000;
  std::uint64_t requests = 0;  // 0: as many as the seconds allow
  bool random = false;         // which sender: at random, or one after the other
  std::string_view tail = "@example.org";
};

[[noreturn]] void fail(std::string_view what) {
  fmt::print(stderr, "bench_load: {}\n", what);
  std::exit(2);
}

[[noreturn]] void fail_errno(std::string_view what) {
  fail(fmt::format("{}: {}", what, std::strerror(errno)));
}

// A request in which the sender and the instance are written over in place: both have a fixed
// width, so that a request costs the load generator as little as it can.
class RequestText {
 public:
  explicit RequestText(std::string_view tail) {
    text_ =
        "request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\n"
        "client_address=192.0.2.10\nclient_name=client.example.net\nclient_port=40000\n"
        "reverse_client_name=client.example.net\nserver_address=192.0.2.1\nserver_port=25\n"
        "helo_name=client.example.net\n";
    sender_ = append_field("sender=s", kSenderDigits, fmt::format("{}\n", tail));
    text_ += "recipient=bob@example.com\nrecipient_count=0\nqueue_id=\n";
    instance_ = append_field("instance=", kInstanceDigits, ".0\n");
    text_ +=
        "size=2048\netrn_domain=\nstress=\nsasl_method=\nsasl_username=\nsasl_sender=\n"
        "ccert_subject=\nccert_issuer=\nccert_fingerprint=\nccert_pubkey_fingerprint=\n"
        "encryption_protocol=\nencryption_cipher=\nencryption_keysize=0\npolicy_context=\n\n";
  }

  std::string_view with(std::uint32_t sender, std::uint64_t instance) {
    write_digits(sender_, kSenderDigits, sender);
    write_digits(instance_, kInstanceDigits, instance);
    return text_;
  }

 private:
  static constexpr std::size_t kSenderDigits = 8;
  static constexpr std::size_t kInstanceDigits = 16;

  std::size_t append_field(std::string_view before, std::size_t digits, std::string_view after) {
    text_ += before;
    const std::size_t place = text_.size();
    text_.append(digits, '0');
    text_ += after;
    return place;
  }

  void write_digits(std::size_t place, std::size_t digits, std::uint64_t value) {
    constexpr std::string_view kHex = "0123456789abcdef";
    for (std::size_t i = digits; i-- > 0; value >>= 4) text_[place + i] = kHex[value & 15];
  }

  std::string text_;
  std::size_t sender_ = 0;
  std::size_t instance_ = 0;
};

// Which sender comes next, and an instance that no earlier run has used.
class Traffic {
 public:
  explicit Traffic(const Options& options)
      : request_(options.tail),
        senders_(options.senders),
        random_(options.random),
        random_engine_(std::random_device{}()) {
    instance_ = (std::uint64_t{random_engine_()} << 32U);
  }

  std::string_view next() {
    ++instance_;
    sender_ = random_ ? static_cast<std::uint32_t>(random_engine_()) % senders_
                      : (sender_ + 1) % senders_;
    return request_.with(sender_, instance_);
  }

 private:
  RequestText request_;
  std::uint32_t senders_;
  bool random_;
  std::mt19937 random_engine_;
  std::uint64_t instance_ = 0;
  std::uint32_t sender_ = 0;
};

struct Connection {
  int fd = -1;
  Clock::time_point sent;
  std::string answer;
};

struct Result {
  std::vector<float> latencies_us;  // ones that began after the warm-up
  std::uint64_t passed = 0;
  std::uint64_t refused = 0;
  double seconds = 0;
};

int connect_to(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int on = 1;
  if (fd < 0 || ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) {
    fail_errno(fmt::format("cannot connect to 127.0.0.1:{}", port));
  }
  return fd;
}

class Load {
 public:
  explicit Load(const Options& options)
      : options_(options), traffic_(options), poller_(::epoll_create1(EPOLL_CLOEXEC)) {
    if (poller_ < 0) fail_errno("epoll_create1");
    connections_.resize(options.connections);
    for (std::size_t i = 0; i < connections_.size(); ++i) {
      connections_[i].fd = connect_to(options.port);
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.u64 = i;
      if (::epoll_ctl(poller_, EPOLL_CTL_ADD, connections_[i].fd, &event) != 0) {
        fail_errno("epoll_ctl");
      }
    }
  }

  Result run() {
    measure_from_ =
        Clock::now() + std::chrono::duration_cast<Clock::duration>(Seconds(options_.warmup_s));
    end_ = measure_from_ + std::chrono::duration_cast<Clock::duration>(Seconds(options_.seconds));
    result_.latencies_us.reserve(static_cast<std::size_t>(options_.seconds * 200'000));
    for (Connection& connection : connections_) ask(connection, Clock::now());
    outstanding_ = connections_.size();

    std::array<epoll_event, 256> events{};
    while (outstanding_ > 0) {
      const int ready =
          ::epoll_wait(poller_, events.data(), static_cast<int>(events.size()), 10'000);
      if (ready == 0) fail("no answer within ten seconds");
      for (const epoll_event& event :
           std::span(events).first(static_cast<std::size_t>(std::max(ready, 0)))) {
        read_answer(connections_[event.data.u64]);
      }
    }
    // What was answered after the end was asked before it; so the time goes on until the last.
    result_.seconds = Seconds(last_answer_ - measure_from_).count();
    return std::move(result_);
  }

 private:
  void ask(Connection& connection, Clock::time_point now) {
    const std::string_view text = traffic_.next();
    ++asked_;
    connection.sent = now;
    connection.answer.clear();
    if (::send(connection.fd, text.data(), text.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(text.size())) {
      fail_errno("cannot send a request");
    }
  }

  void read_answer(Connection& connection) {
    std::array<char, 4096> buffer{};
    const ssize_t got = ::recv(connection.fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) fail("the server closed a connection");
    connection.answer.append(buffer.data(), static_cast<std::size_t>(got));
    if (!connection.answer.ends_with("\n\n")) return;

    const Clock::time_point now = Clock::now();
    if (connection.sent >= measure_from_) {
      const std::chrono::duration<float, std::micro> latency = now - connection.sent;
      result_.latencies_us.push_back(latency.count());
      ++(connection.answer == "action=DUNNO\n\n" ? result_.passed : result_.refused);
    }
    last_answer_ = now;
    if (now < end_ && (options_.requests == 0 || asked_ < options_.requests)) {
      ask(connection, now);
    } else {
      --outstanding_;
    }
  }

  Options options_;
  Traffic traffic_;
  int poller_;
  std::vector<Connection> connections_;
  std::size_t outstanding_ = 0;
  std::uint64_t asked_ = 0;
  Clock::time_point measure_from_;
  Clock::time_point end_;
  Clock::time_point last_answer_;
  Result result_;
};

bool parse_options(std::span<char*> arguments, Options& options) {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view name = arguments[i];
    if (name == "--random") {
      options.random = true;
      continue;
    }
    if (++i == arguments.size()) return false;
    const std::string_view value = arguments[i];
    const bool good = name == "--port"          ? parse_number(value, options.port)
                      : name == "--connections" ? parse_number(value, options.connections)
                      : name == "--seconds"     ? parse_number(value, options.seconds)
                      : name == "--warmup"      ? parse_number(value, options.warmup_s)
                      : name == "--senders"     ? parse_number(value, options.senders)
                      : name == "--requests"    ? parse_number(value, options.requests)
                      : name == "--tail"        ? !(options.tail = value).empty()
                                                : false;
    if (!good) return false;
  }
  return options.port != 0 && options.connections > 0 && options.senders > 0 &&
         options.seconds > 0 && options.seconds <= 3600 && options.warmup_s >= 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (!parse_options(std::span(argv, static_cast<std::size_t>(argc)).subspan(1), options)) {
    std::fputs(
        "usage: bench_load --port N [--connections N] [--seconds S] [--warmup S] [--senders N] "
        "[--random] [--requests N] [--tail TEXT]\n",
        stderr);
    return 1;
  }
  Result result = Load(options).run();
  const std::size_t requests = result.latencies_us.size();
  const float p50 = percentile(result.latencies_us, 0.50);
  const float p99 = percentile(result.latencies_us, 0.99);
  const float most = percentile(result.latencies_us, 1.0);
  fmt::print(
      "{{\"requests\": {}, \"seconds\": {:.3f}, \"per_second\": {:.1f}, \"passed\": {}, "
      "\"refused\": {}, \"p50_us\": {:.1f}, \"p99_us\": {:.1f}, \"max_us\": {:.1f}}}\n",
      requests, result.seconds, static_cast<double>(requests) / result.seconds, result.passed,
      result.refused, p50, p99, most);
}
