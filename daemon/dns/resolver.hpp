// SPDX-License-Identifier: AGPL-3.0-only
// DNS off the loop: one thread with its own c-ares channel, on which any number of queries wait at
// the same time. Each is answered once, by its deadline at the latest. Callbacks must be quick,
// since other answers wait for them.
//
// The name servers are those of resolv.conf at the start, unless others are given. There is no
// cache: a mail server should have a caching resolver next to it.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "daemon/dns/dns_answer.hpp"
#include "daemon/log/maillog.hpp"

namespace policyd {

class Resolver {
 public:
  using Deadline = std::chrono::steady_clock::time_point;
  using Done = std::function<void(DnsAnswer)>;

  // `name_servers`: "192.0.2.53,127.0.0.1:5353"; empty: the system's. With `max_queries` open,
  // another gets no_answer at once.
  Resolver(Maillog& log, std::string name_servers, std::size_t max_queries = 4096);
  ~Resolver();  // drops open queries without an answer

  // Queries the records of `name` as it is (no search list, no hosts file). `done` runs on the
  // resolver's thread, after this function has returned unless it was called there. Any thread.
  void query(std::string name, DnsType type, Deadline deadline, Done done);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace policyd
