// SPDX-License-Identifier: AGPL-3.0-only
// The resolver, and SPF over it, against a name server of the test's own.
#include "daemon/dns/resolver.hpp"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <future>
#include <map>
#include <thread>

#include "daemon/base/ip_address.hpp"
#include "daemon/base/unique_fd.hpp"
#include "daemon/dns/dns_lookups.hpp"
#include "daemon/dns/spf_check.hpp"
#include "tests/unit/daemon/loop/manual_loop.hpp"

namespace policyd {
namespace {

using Steady = std::chrono::steady_clock;
using Millis = std::chrono::milliseconds;
constexpr Millis kPatience{30'000};

// Answers each name with the same response code and at most one TXT record; what it does not know
// gets no answer at all.
class TinyDns {
 public:
  struct Zone {
    int code = 0;
    std::string text;
  };
  explicit TinyDns(std::map<std::string, Zone> zones)
      : zones_(std::move(zones)), socket_(::socket(AF_INET, SOCK_DGRAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    ::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    name_server = fmt::format("127.0.0.1:{}", ntohs(address.sin_port));
    thread_ = std::thread([this] { serve(); });
  }
  ~TinyDns() {
    stop_ = true;
    thread_.join();
  }
  std::string name_server;
  std::atomic<int> questions{0};

 private:
  void serve() {
    while (!stop_) {
      pollfd file{socket_.get(), POLLIN, 0};
      if (::poll(&file, 1, 20) <= 0) continue;
      std::array<char, 512> in{};
      sockaddr_in from{};
      socklen_t size = sizeof from;
      const auto got = ::recvfrom(socket_.get(), in.data(), in.size(), 0,
                                  reinterpret_cast<sockaddr*>(&from), &size);
      if (got <= 0) continue;
      ++questions;
      const std::string out = answer({in.data(), static_cast<std::size_t>(got)});
      if (!out.empty()) {
        ::sendto(socket_.get(), out.data(), out.size(), 0, reinterpret_cast<sockaddr*>(&from),
                 size);
      }
    }
  }

  [[nodiscard]] std::string answer(const std::string& message) const {
    std::string name;
    std::size_t at = 12;
    while (message[at] != 0) {
      const auto length = static_cast<std::size_t>(static_cast<unsigned char>(message[at]));
      name += (name.empty() ? "" : ".") + message.substr(at + 1, length);
      at += length + 1;
    }
    const auto zone = zones_.find(name);
    if (zone == zones_.end()) return {};
    const bool filled = !zone->second.text.empty() && message[at + 2] == 16;
    std::string out = message.substr(0, 2) + "\x81";
    out += static_cast<char>(0x80 | zone->second.code);
    out += std::string{"\0\1\0", 3} + static_cast<char>(filled ? 1 : 0) + std::string(4, '\0');
    out += message.substr(12, at + 5 - 12);
    if (!filled) return out;
    const std::string& text = zone->second.text;
    out += std::string{"\xc0\x0c\0\x10\0\1\0\0\0\x3c\0", 11};
    out += static_cast<char>(text.size() + 1);
    out += static_cast<char>(text.size());
    return out + text;
  }

  const std::map<std::string, Zone> zones_;
  UniqueFd socket_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

const std::map<std::string, TinyDns::Zone> kZones = {
    {"text.example", {0, "hello"}},
    {"empty.example", {0, ""}},
    {"nowhere.example", {3, ""}},
    {"failure.example", {2, ""}},
    {"refused.example", {5, ""}},
    {"fail.example", {0, "v=spf1 -all"}},
    {"soft.example", {0, "v=spf1 ~all"}},
    {"local.example", {0, "v=spf1 include:silent.example -all"}},
};

class ResolverTest : public ::testing::Test {
 protected:
  DnsAnswer ask(const std::string& name, Millis patience = kPatience, DnsType type = DnsType::txt) {
    std::promise<DnsAnswer> promise;
    resolver_.query(name, type, Steady::now() + patience,
                    [&](DnsAnswer answer) { promise.set_value(std::move(answer)); });
    return promise.get_future().get();
  }

  std::optional<SpfFound> spf(const std::string& sender, Millis patience = kPatience) {
    std::promise<std::optional<SpfFound>> promise;
    check_spf(resolver_, {*IpAddress::parse("192.0.2.1"), sender, "mail.example"},
              Steady::now() + patience,
              [&](std::optional<SpfFound> found) { promise.set_value(std::move(found)); });
    return promise.get_future().get();
  }

  std::unique_ptr<Maillog> log_ = std::move(*Maillog::open({}));
  TinyDns dns_{kZones};
  Resolver resolver_{*log_, dns_.name_server, 3};
};

TEST_F(ResolverTest, ReturnsTheServersAnswer) {
  const DnsAnswer text = ask("text.example");
  EXPECT_EQ(text.status, DnsStatus::ok);
  EXPECT_EQ(text.records, std::vector<std::string>{"hello"});
  EXPECT_EQ(ask("empty.example").status, DnsStatus::ok);
  EXPECT_FALSE(ask("empty.example").answered);
  EXPECT_EQ(ask("nowhere.example").status, DnsStatus::no_such_domain);
  EXPECT_EQ(ask("failure.example").status, DnsStatus::server_failure);
  EXPECT_EQ(ask("refused.example").status, DnsStatus::no_answer);
}

TEST_F(ResolverTest, EndsAtTheDeadlineWithoutDelayingOthers) {
  const auto began = Steady::now();
  std::promise<DnsAnswer> promise;
  std::future<DnsAnswer> silent = promise.get_future();
  resolver_.query("silent.example", DnsType::a, began + Millis{3'000},
                  [&](DnsAnswer answer) { promise.set_value(std::move(answer)); });
  EXPECT_EQ(ask("text.example").status, DnsStatus::ok);
  EXPECT_NE(silent.wait_for(Millis{0}), std::future_status::ready) << "it was waited for";
  EXPECT_EQ(silent.get().status, DnsStatus::timed_out);
  EXPECT_GE(Steady::now() - began, Millis{3'000});
  EXPECT_EQ(ask("text.example", Millis{0}).status, DnsStatus::timed_out);
}

TEST_F(ResolverTest, LimitsItsOpenQueries) {
  // Long enough to reach the resolver's thread: one that is late already is not asked at all.
  const auto deadline = Steady::now() + Millis{1'000};
  std::array<std::promise<DnsAnswer>, 3> silent;
  for (std::size_t i = 0; i < silent.size(); ++i) {
    resolver_.query(fmt::format("silent{}.example", i), DnsType::txt, deadline,
                    [&, i](DnsAnswer answer) { silent.at(i).set_value(std::move(answer)); });
  }
  for (auto& each : silent) EXPECT_EQ(each.get_future().get().status, DnsStatus::timed_out);
  EXPECT_EQ(ask("text.example").status, DnsStatus::no_answer);
}

TEST_F(ResolverTest, DoesNotQueryInvalidNames) {
  for (const char* name : {"", ".", "a..b", "a b.example", "a\\b.example", "\xff.example"}) {
    EXPECT_EQ(ask(name).status, DnsStatus::no_answer) << name;
  }
  EXPECT_EQ(ask(std::string(64, 'x') + ".example").status, DnsStatus::no_answer);
  EXPECT_EQ(dns_.questions, 0);
}

TEST_F(ResolverTest, CanBeDestroyedWithOpenQueries) {
  resolver_.query("silent.example", DnsType::a, Steady::now() + kPatience,
                  [](DnsAnswer) { FAIL(); });
}

TEST_F(ResolverTest, ChecksSpf) {
  EXPECT_EQ(spf("a@fail.example")->result, SpfResult::fail);
  EXPECT_EQ(spf("a@SOFT.example")->result, SpfResult::softfail);
  EXPECT_EQ(spf("a@text.example")->result, SpfResult::none);
  EXPECT_EQ(spf("a@nowhere.example")->result, SpfResult::none);
  EXPECT_EQ(spf("a@failure.example")->result, SpfResult::temperror);
  EXPECT_EQ(spf("a@local")->result, SpfResult::none);
  EXPECT_EQ(spf("a@b..c")->result, SpfResult::none);
}

TEST_F(ResolverTest, GivesUpSpfAtItsDeadline) {
  EXPECT_FALSE(spf("a@silent.example", Millis{100}));
  EXPECT_FALSE(spf("a@local.example", Millis{100})) << "found the record, not what it includes";
}

TEST(DnsLookups, AnswersOnTheLoopAndSkipsTooManyLookups) {
  auto log = std::move(*Maillog::open({}));
  TinyDns dns{kZones};
  ManualLoop loop;
  DnsLookupSettings settings;
  settings.name_servers = dns.name_server;
  settings.helo_deadline = Millis{3'000};
  settings.max_questions = 2;
  DnsLookups lookups{loop, *log, settings};
  std::vector<Lookups> found;
  const auto ask = [&](const char* helo, NeededLookups needed) {
    lookups.look_up({needed, helo, "a@fail.example", *IpAddress::parse("192.0.2.1")},
                    [&](Lookups answer) { found.push_back(std::move(answer)); });
  };
  ask("nowhere.example", {true, true});
  ask("silent.example", {true, false});
  EXPECT_TRUE(found.empty());
  ask("text.example", {true, true});
  loop.run_posted();
  ASSERT_GE(found.size(), 1U) << "skipped, answered at once";
  while (found.size() < 3) ASSERT_TRUE(loop.run_one_from_thread());
  int skipped = 0;
  for (const Lookups& answer : found) {
    if (!answer.helo) {
      ++skipped;
      EXPECT_FALSE(answer.spf);
    } else if (answer.spf) {
      EXPECT_EQ(answer.helo, HeloFound::no_such_domain);
      EXPECT_EQ(answer.spf->result, SpfResult::fail);
    } else {
      EXPECT_EQ(answer.helo, HeloFound::no_answer);
    }
  }
  EXPECT_EQ(skipped, 1);
}

TEST(DnsAnswer, HandlesTruncatedMessages) {
  const std::string whole{
      "\x12\x34\x81\x80\0\1\0\2\0\0\0\0\1a\0\0\x10\0\1"
      "\xc0\x0c\0\x10\0\1\0\0\0\x3c\0\6\2hi\2ho"
      "\xc0\x0c\0\x10\0\1\0\0\0\x3c\0\1\0",
      50};
  const auto parse = [](const std::string& text) {
    const std::vector<unsigned char> bytes{text.begin(), text.end()};
    return parse_dns_answer(bytes, DnsType::txt);
  };
  ASSERT_TRUE(parse(whole));
  EXPECT_EQ(parse(whole)->records, (std::vector<std::string>{"hiho", ""}));
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_FALSE(parse(whole.substr(0, size)));
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (const char c : {'\0', '\x7f', '\xff'}) {
      std::string damaged = whole;
      damaged[at] = c;
      parse(damaged);
    }
  }
}

}  // namespace
}  // namespace policyd
