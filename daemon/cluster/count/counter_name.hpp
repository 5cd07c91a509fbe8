// SPDX-License-Identifier: AGPL-3.0-only
// A shared counter's name: "4:Sender:user@example.com". With the prefix and "c:" before it, the key
// of its hash.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/base/append_number.hpp"

namespace policyd {

inline void append_counter_name(std::string& out, std::int64_t limit_id,
                                std::string_view track_key) {
  append_number(out, limit_id);
  out.append(":").append(track_key);
}

inline std::string counter_name(std::int64_t limit_id, std::string_view track_key) {
  std::string name;
  append_counter_name(name, limit_id, track_key);
  return name;
}

// Matches the keys of all counters, or of all of one limit, for SCAN.
inline std::string counters_pattern(std::string_view prefix, std::optional<std::int64_t> limit_id) {
  std::string pattern;
  for (const char c : prefix) {
    if (std::string_view{"*?[]\\"}.find(c) != std::string_view::npos) pattern += '\\';
    pattern += c;
  }
  return limit_id ? fmt::format("{}c:{}:*", pattern, *limit_id) : pattern + "c:*";
}

// For tables that are searched without a string of their own.
struct CounterNameHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view name) const {
    return std::hash<std::string_view>{}(name);
  }
};

}  // namespace policyd
