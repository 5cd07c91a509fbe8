// SPDX-License-Identifier: AGPL-3.0-only
// Bytes from a Redis server → replies, by hiredis' parser. All that the server sends is bounded:
// a reply has at most 16 MiB, kMaxElements in its lists, and lists kMaxDepth deep. One thread.
//
// Of hiredis only the parser is used. The asynchronous interface of 0.14 (Debian 12) ends the
// program, by an assertion, if a server sends a reply that was not asked for.
#pragma once

#include <hiredis/read.h>

#include <boost/core/noncopyable.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/cluster/redis.hpp"

namespace policyd {

class ReplyReader : boost::noncopyable {
 public:
  static constexpr std::size_t kMaxReplyBytes = 16 * 1024 * 1024;
  static constexpr std::size_t kMaxElements = 256 * 1024;
  static constexpr int kMaxDepth = 7;  // of hiredis 0.14

  struct Next {
    enum class Kind : std::uint8_t {
      need_more,  // bytes
      reply,
      error,   // of the server, its text in `text`; one within a list is a text there
      broken,  // `text` says why; nothing more can be read
    };
    Kind kind = Kind::need_more;
    RedisReply reply;
    std::string text;
  };

  ReplyReader();
  // Forgets everything received: for a new connection.
  void reset();
  void feed(std::string_view bytes);
  // The next reply of what was fed.
  [[nodiscard]] Next next();

 private:
  struct Free {
    void operator()(redisReader* reader) const { redisReaderFree(reader); }
  };
  // hiredis calls these while it parses; its tasks know this object as their privdata.
  static redisReplyObjectFunctions functions();
  static RedisReply* place(const redisReadTask* task);
  RedisReply* refuse(std::string why);

  redisReplyObjectFunctions functions_;
  std::unique_ptr<redisReader, Free> reader_;
  std::string why_broken_;
  std::size_t fed_ = 0;       // since the last complete reply
  std::size_t elements_ = 0;  // of the reply being read
  RedisReply root_;
  bool root_read_ = false;
  bool is_error_ = false;
};

// Appends a command as Redis reads it.
void append_redis_command(std::string& out, const std::vector<std::string>& words);

}  // namespace policyd
