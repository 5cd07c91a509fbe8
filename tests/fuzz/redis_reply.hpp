// SPDX-License-Identifier: AGPL-3.0-only
// A reply of Redis that is anything at all: a byte for the kind of each part. Pure.
#pragma once

#include <cstdint>
#include <string_view>

#include "daemon/cluster/redis.hpp"

namespace fuzz {

inline constexpr int kMaxDepth = 5;

inline std::uint8_t take_byte(std::string_view& rest) {
  if (rest.empty()) return 0;
  const auto byte = static_cast<std::uint8_t>(rest.front());
  rest.remove_prefix(1);
  return byte;
}

inline policyd::RedisReply take_reply(std::string_view& rest, int depth) {
  using policyd::RedisReply;
  RedisReply reply;
  const std::uint8_t byte = take_byte(rest);
  const std::size_t size = byte >> 2U;
  switch (byte % 4) {
    case 0:
      return reply;
    case 1:
      reply.kind = RedisReply::Kind::number;
      // Small ones, -2 to 29, mostly.
      reply.number =
          size < 32 ? static_cast<std::int64_t>(size) - 2 : std::int64_t{1} << (2 * size - 64);
      return reply;
    case 2:
      reply.kind = RedisReply::Kind::text;
      reply.text = rest.substr(0, size);
      rest.remove_prefix(reply.text.size());
      return reply;
    default:
      break;
  }
  reply.kind = RedisReply::Kind::list;
  for (std::size_t i = 0; i < size % 8 && depth < kMaxDepth; ++i) {
    reply.list.push_back(take_reply(rest, depth + 1));
  }
  return reply;
}

}  // namespace fuzz
