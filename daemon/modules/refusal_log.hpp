// SPDX-License-Identifier: AGPL-3.0-only
// The most recent refusals, which the command shows next to a full counter. A module calls it only
// at a refusal, so mail that passes costs nothing. Bounded: beyond the capacity the keys whose last
// refusal is oldest are dropped. The loop's thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/base/lru_table.hpp"

namespace policyd {

// One limit and track key.
struct Refusal {
  std::int64_t limit_id = 0;
  std::string track_key;  // cut at RefusalLog::kMaxKey
  std::string verdict;    // of the last one; empty if there was none
  std::uint64_t count = 0;
  std::uint64_t let_through = 0;  // what a pause let through instead
  TimePoint first{};
  TimePoint last{};
  bool operator==(const Refusal&) const = default;
};

class RefusalLog {
 public:
  static constexpr std::size_t kCapacity = 1000;
  static constexpr std::size_t kMaxKey = 512;
  static constexpr std::string_view kLetThrough = "let through";

  explicit RefusalLog(std::size_t capacity = kCapacity) : capacity_(capacity) {}

  // `verdict` is a name_of(), or "none" if the limit only monitors and would have refused, or
  // kLetThrough if a pause did so.
  void refused(std::int64_t limit_id, std::string_view track_key, std::string_view verdict,
               TimePoint now);

  // Most recently refused first.
  [[nodiscard]] std::vector<Refusal> all() const;

 private:
  std::size_t capacity_;
  LruTable<Refusal> refusals_;
};

}  // namespace policyd
