// SPDX-License-Identifier: AGPL-3.0-only
// What a Redis server, or anything that answers in its place, may send: a line of text as an
// address, and the rest as the bytes of replies. They are the same replies in whatever pieces they
// come, they stay within the bounds, and what is said of them is one line.
#include <optional>
#include <string>
#include <vector>

#include "daemon/base/printable.hpp"
#include "daemon/cluster/redis_address.hpp"
#include "daemon/cluster/redis_greeting.hpp"
#include "daemon/cluster/reply_reader.hpp"
#include "fuzz.hpp"

namespace {

using namespace policyd;
using fuzz::check;

void check_address(std::string_view url) {
  const auto address = parse_redis_address(url);
  if (!address) return check(is_printable(address.error().message), "an error is one line");
  check(!address->hosts.empty() && address->hosts.size() <= 16, "1 to 16 hosts");
  for (const RedisHost& host : address->hosts) {
    check(!host.name.empty() && is_printable(host.to_string()), "a host has a name");
  }
}

std::size_t elements_of(const RedisReply& reply, int depth) {
  check(depth <= ReplyReader::kMaxDepth + 1, "lists are not nested deeper");
  std::size_t count = reply.list.size();
  for (const RedisReply& element : reply.list) count += elements_of(element, depth + 1);
  return count;
}

void append_reply(std::string& out, const RedisReply& reply) {
  out += std::to_string(static_cast<int>(reply.kind)) + std::to_string(reply.number) + reply.text;
  for (const RedisReply& element : reply.list) append_reply(out, element);
  out += ';';
}

// Feeds pieces of `size` bytes.
std::vector<Result<RedisReply>> read_in_pieces(std::string_view bytes, std::size_t size,
                                               std::string& shown) {
  using Kind = ReplyReader::Next::Kind;
  std::vector<Result<RedisReply>> replies;
  ReplyReader reader;
  while (!bytes.empty()) {
    reader.feed(bytes.substr(0, size));
    bytes.remove_prefix(std::min(size, bytes.size()));
    while (true) {
      auto next = reader.next();
      if (next.kind == Kind::need_more) break;
      if (next.kind == Kind::broken) {
        check(is_printable(next.text), "why it is broken is one line");
        shown += "broken";
        return replies;
      }
      if (next.kind == Kind::error) {
        shown += "error " + next.text;
        replies.emplace_back(failure(next.text));
        continue;
      }
      check(elements_of(next.reply, 0) <= ReplyReader::kMaxElements, "elements are bounded");
      append_reply(shown, next.reply);
      replies.emplace_back(std::move(next.reply));
    }
  }
  return replies;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view bytes = fuzz::text_of(data, size);
  check_address(fuzz::take_line(bytes));
  std::string at_once;
  std::string by_byte;
  const auto replies = read_in_pieces(bytes, bytes.size(), at_once);
  check(read_in_pieces(bytes, 1, by_byte).size() == replies.size() && at_once == by_byte,
        "the pieces do not matter");
  const RedisLogin login{"user", {}, "/file", 1};
  const auto server = read_greeting(login, replies);
  if (!server) check(is_printable(server.error().message), "what is wrong is one line");
  if (server) check(is_printable(server->run_id + server->version), "what it says is printable");
  const auto master = read_sentinel_greeting(login, "m", replies);
  if (!master) check(is_printable(master.error().message), "what is wrong is one line");
  if (master) check(is_printable(master->to_string()), "a master's name is printable");
  return 0;
}
