// SPDX-License-Identifier: AGPL-3.0-only
// DNS off the loop: one thread with its own c-ares channel, on which any number of questions wait
// side by side. Each is answered once, by its deadline at the latest. What has to be done with an
// answer that takes more than a moment is to be done elsewhere, since the other answers wait.
//
// Name servers are those of the system's resolv.conf as it was at the start, unless others are
// given. There is no cache: a mail server has a caching resolver beside it, and should.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "daemon/dns/dns_answer.hpp"
#include "daemon/log/maillog.hpp"

namespace policyd {

struct ResolverSettings {
  std::string name_servers;         // "192.0.2.53,127.0.0.1:5353"; empty: the system's
  std::size_t most_queries = 4096;  // under way; beyond: no_answer at once
};

class Resolver {
 public:
  using Deadline = std::chrono::steady_clock::time_point;
  using Done = std::function<void(DnsAnswer)>;

  Resolver(Maillog& log, ResolverSettings settings);
  ~Resolver();  // what is under way is dropped, without an answer
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // Asks for the records of `name`, which is looked up as it is (no search list, no hosts file).
  // `done` runs on the resolver's thread, after this has returned unless this was called there.
  // Any thread.
  void query(std::string name, DnsType type, Deadline deadline, Done done);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace policyd
