// SPDX-License-Identifier: AGPL-3.0-only
// The DNS lookups of modules, by one resolver: HELO names and SPF, each with its deadline, and a
// limited number at a time. Called on the loop, works on the resolver's thread, answers on the
// loop.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "daemon/dns/lookup_service.hpp"
#include "daemon/dns/resolver.hpp"
#include "daemon/log/maillog.hpp"
#include "daemon/loop/event_loop.hpp"

namespace policyd {

struct DnsLookupSettings {
  std::string name_servers;  // of Resolver
  std::chrono::milliseconds helo_deadline{10'000};
  std::chrono::milliseconds spf_deadline{15'000};
  std::size_t max_questions = 1'000;  // waiting; beyond that, lookups are skipped
};

class DnsLookups final : public LookupService {
 public:
  DnsLookups(EventLoop& loop, Maillog& log, DnsLookupSettings settings);

  void look_up(LookupQuestion question, Done done) override;

 private:
  struct Waiting;
  void look_up_helo(const std::shared_ptr<Waiting>& waiting, const std::string& helo_name);
  void look_up_spf(const std::shared_ptr<Waiting>& waiting, LookupQuestion question);
  void log_skipped();

  EventLoop& loop_;
  Maillog& log_;
  const DnsLookupSettings settings_;
  std::size_t waiting_ = 0;
  std::uint64_t skipped_ = 0;  // since the last log line
  std::chrono::steady_clock::time_point logged_;
  EventLoop::Guard guard_;
  Resolver resolver_;  // last: its thread uses the other members
};

}  // namespace policyd
