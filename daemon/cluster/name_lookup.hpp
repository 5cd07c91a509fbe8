// SPDX-License-Identifier: AGPL-3.0-only
// Host names → addresses to connect to, as the system resolves them (/etc/hosts, DNS). That blocks,
// so a thread does it. The loop's thread.
#pragma once

#include <sys/socket.h>

#include <boost/core/noncopyable.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "daemon/base/result.hpp"
#include "daemon/cluster/redis_address.hpp"
#include "daemon/loop/event_loop.hpp"

namespace policyd {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

class NameLookup : boost::noncopyable {
 public:
  static constexpr std::size_t kMaxAddresses = 8;  // of one name

  using Done = std::function<void(Result<std::vector<SocketAddress>>)>;

  explicit NameLookup(EventLoop& loop);
  // Does not wait for lookups that still run, whose results are dropped.
  ~NameLookup();

  // Calls `done` once on the loop, after this function has returned. Addresses and paths need no
  // thread. An Error at once while another lookup runs: a resolver that hangs gets no more threads.
  void look_up(const RedisHost& host, Done done);

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;  // with the thread of a lookup, which may outlive this
};

}  // namespace policyd
