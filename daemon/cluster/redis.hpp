// SPDX-License-Identifier: AGPL-3.0-only
// Redis or Valkey as the cluster needs it: one connection that keeps itself up, and commands whose
// replies come later. The seam between what is shared and hiredis. The loop's thread.
#pragma once

#include <boost/core/noncopyable.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "daemon/base/result.hpp"

namespace policyd {

struct RedisReply {
  enum class Kind : std::uint8_t { nothing, number, text, list };
  Kind kind = Kind::nothing;
  std::int64_t number = 0;
  std::string text;  // a status, too
  std::vector<RedisReply> list;
};

class Redis : boost::noncopyable {
 public:
  // An Error is the server's own ("OOM command not allowed ..."), or why there is no reply.
  using Done = std::function<void(const Result<RedisReply>&)>;

  virtual ~Redis() = default;

  // Whether a server that may be written to is connected, logged in and its database is selected.
  [[nodiscard]] virtual bool ready() const = 0;
  // Why not, as a sentence; empty if it is ready.
  [[nodiscard]] virtual const std::string& trouble() const = 0;

  // How often a connection was made: another number, another connection, and perhaps server.
  [[nodiscard]] virtual std::uint64_t connections() const { return 0; }

  // Sends a command and its arguments, which may be any bytes. Calls `done` once on the loop, after
  // this function has returned. Commands are answered in order. An Error at once if not ready.
  virtual void command(std::vector<std::string> words, Done done) = 0;
};

}  // namespace policyd
