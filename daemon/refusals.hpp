// SPDX-License-Identifier: AGPL-3.0-only
// Who was refused lately: what the command shows beside a counter that is full. A module calls it
// at a refusal and only then, so mail that passes pays nothing. Bounded: beyond the capacity the
// keys that were refused longest ago go. The loop's thread.
#pragma once

#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

#include "daemon/clock.hpp"

namespace policyd {

class RefusalObserver {
 public:
  // `verdict` as name_of() has it; "none" where the limit only watches and would have refused.
  RefusalObserver() = default;
  RefusalObserver(const RefusalObserver&) = delete;
  RefusalObserver& operator=(const RefusalObserver&) = delete;
  virtual ~RefusalObserver() = default;
  virtual void refused(std::int64_t limit_id, std::string_view track_key, std::string_view verdict,
                       TimePoint now) = 0;
};

// One limit and track key.
struct Refusal {
  std::int64_t limit_id = 0;
  std::string track_key;  // cut at Refusals::kMaxKey
  std::string verdict;    // of the last one
  std::uint64_t count = 0;
  TimePoint first{};
  TimePoint last{};
  bool operator==(const Refusal&) const = default;
};

class Refusals final : public RefusalObserver {
 public:
  static constexpr std::size_t kCapacity = 1000;
  static constexpr std::size_t kMaxKey = 512;

  explicit Refusals(std::size_t capacity = kCapacity) : capacity_(capacity) {}

  void refused(std::int64_t limit_id, std::string_view track_key, std::string_view verdict,
               TimePoint now) override;

  // Most recently refused first.
  [[nodiscard]] const std::list<Refusal>& all() const { return refusals_; }
  // Since the start, also those that are forgotten by now.
  [[nodiscard]] std::uint64_t total() const { return total_; }

 private:
  struct Key {
    std::int64_t limit_id;
    std::string_view track_key;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const noexcept {
      return std::hash<std::string_view>{}(key.track_key) ^
             (static_cast<std::size_t>(key.limit_id) * 0x9E3779B97F4A7C15ULL);
    }
  };

  std::size_t capacity_;
  std::uint64_t total_ = 0;
  std::list<Refusal> refusals_;
  std::unordered_map<Key, std::list<Refusal>::iterator, KeyHash> by_key_;
};

}  // namespace policyd
