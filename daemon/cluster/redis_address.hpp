// SPDX-License-Identifier: AGPL-3.0-only
// Where Redis or Valkey is: the value of [cluster] url. Pure; any thread.
//
//   redis://[USER@]HOST[:PORT][,HOST[:PORT]...][/DATABASE]
//   sentinel://[USER@]HOST[:PORT][,HOST[:PORT]...]/MASTER[/DATABASE]
//   unix://[USER@]/PATH[?db=DATABASE]
//
// HOST is a name, an IPv4 address, or an IPv6 address in brackets. valkey:// is redis://.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/result.hpp"

namespace policyd {

struct RedisHost {
  std::string name;        // or an address, without brackets; or the path of a UNIX socket
  std::uint16_t port = 0;  // 0: it is a path

  // "redis1:6379", "[2001:db8::1]:6379", "/run/redis.sock".
  [[nodiscard]] std::string to_string() const;
  bool operator==(const RedisHost&) const = default;
};

struct RedisAddress {
  std::vector<RedisHost> hosts;  // 1 to 16; of servers, or of Sentinels
  std::string master;            // as Sentinel knows it; empty: `hosts` are servers
  std::string user;              // empty: the default user
  int database = 0;

  bool operator==(const RedisAddress&) const = default;
};

// An Error says what is not valid and what is. It never shows a password.
Result<RedisAddress> parse_redis_address(std::string_view url);

}  // namespace policyd
