// SPDX-License-Identifier: AGPL-3.0-only
// What is asked of a Redis server, or of a Sentinel, when a connection to it begins, and what its
// replies mean: a server that may be written to, or what is wrong with it, what to do included.
// Pure, but for reading the password.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/result.hpp"
#include "daemon/cluster/redis.hpp"
#include "daemon/cluster/redis_address.hpp"

namespace policyd {

struct RedisLogin {
  std::string user;                     // empty: the default user
  std::string password;                 // empty: none
  std::filesystem::path password_file;  // for messages
  int database = 0;
};

// A server that was greeted.
struct RedisServer {
  std::string address;  // "redis1:6379"
  std::string run_id;   // another one each time it is started
  std::string version;  // "Redis 7.0.15", "Valkey 8.1.1"

  bool operator==(const RedisServer&) const = default;
};

using RedisCommand = std::vector<std::string>;

std::vector<RedisCommand> greeting_of(const RedisLogin& login);
// `replies`: one for each command. The address is left empty.
Result<RedisServer> read_greeting(const RedisLogin& login,
                                  std::span<const Result<RedisReply>> replies);

// The last command asks a Sentinel for the address of the master. A Sentinel may have the servers'
// password or none.
std::vector<RedisCommand> sentinel_greeting_of(const RedisLogin& login, const std::string& master);
Result<RedisHost> read_sentinel_greeting(const RedisLogin& login, const std::string& master,
                                         std::span<const Result<RedisReply>> replies);

// What an error in reply to the greeting means: "is still loading its data; wait until it has".
std::string trouble_of_error(const RedisLogin& login, std::string_view error);
// What an errno of a connection means: "Connection refused; start Redis there, or correct url in
// [cluster]".
std::string trouble_of_errno(int code);

// The value of "name:value" in a reply of INFO; empty if there is none.
std::string_view info_field(std::string_view info, std::string_view name);

// The first line of the file. An Error if the file is empty, larger than 4 KiB, cannot be read, or
// can be read by users outside its group.
Result<std::string> read_password(const std::filesystem::path& file);

}  // namespace policyd
