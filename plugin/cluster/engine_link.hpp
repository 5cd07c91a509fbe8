// SPDX-License-Identifier: AGPL-3.0-only
// One connection to Redis or Valkey for a command that asks several things one after another. Waits
// for the replies, but not for longer than it was given in all. As the daemon's user, who reads the
// password.
#pragma once

#include <boost/core/noncopyable.hpp>
#include <chrono>
#include <string>
#include <vector>

#include "daemon/base/result.hpp"
#include "daemon/cluster/hiredis_client.hpp"
#include "daemon/loop/epoll_loop.hpp"

namespace limits {

class EngineLink : boost::noncopyable {
 public:
  using Commands = std::vector<policyd::RedisCommand>;
  // One for each command. An Error is the server's own.
  using Replies = std::vector<policyd::Result<policyd::RedisReply>>;

  // `within`: from now on, for everything that is asked.
  EngineLink(const policyd::HiredisSettings& settings, std::chrono::milliseconds within);

  // An Error, a sentence, if there is no server that can be used, or the time is over.
  policyd::Result<Replies> ask(const Commands& commands);
  // The same, but an error of the server is an Error, too.
  policyd::Result<std::vector<policyd::RedisReply>> ask_all(const Commands& commands);
  // Lets time pass.
  void wait(std::chrono::milliseconds time);

  [[nodiscard]] const policyd::RedisServer& server() const { return redis_.server(); }

 private:
  void begin(const Commands& commands);
  void end(const std::string& trouble);

  policyd::EpollLoop loop_;
  policyd::HiredisClient redis_;
  std::string at_first_;
  std::string trouble_;
  std::size_t asked_ = 0;  // calls of ask()
  Replies replies_;
  policyd::EventLoop::Guard guard_;
};

}  // namespace limits
