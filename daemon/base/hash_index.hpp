// SPDX-License-Identifier: AGPL-3.0-only
// An open-addressing hash table from hashes to numbers ("slots") of values that the caller keeps. A
// search walks one compact array, eight bytes an entry, and asks about a value only if 32 bits of
// its hash agree.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

namespace policyd {

class HashIndex {
 public:
  static constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

  // The part of a hash that is stored. All bits of the hash should be good.
  static std::uint32_t tag_of(std::size_t hash) {
    return static_cast<std::uint32_t>(hash ^ (hash >> 32U));
  }

  // The slot inserted with this tag for which `is_right` holds, or kNone.
  template <typename IsRight>
  [[nodiscard]] std::uint32_t find(std::uint32_t tag, IsRight is_right) const {
    if (entries_.empty()) return kNone;
    for (std::size_t at = tag & mask(); entries_[at].slot != kNone; at = (at + 1) & mask()) {
      const Entry entry = entries_[at];
      if (entry.tag == tag && is_right(entry.slot)) return entry.slot;
    }
    return kNone;
  }

  void insert(std::uint32_t tag, std::uint32_t slot) {
    if ((size_ + 1) * 2 > entries_.size()) grow();
    put({tag, slot});
    ++size_;
  }

  // `slot` must have been inserted with `tag`.
  void erase(std::uint32_t tag, std::uint32_t slot) {
    std::size_t gap = tag & mask();
    while (entries_[gap].slot != slot) gap = (gap + 1) & mask();
    // Entries after it move up if that brings them nearer to their home, so that no search ends too
    // early.
    for (std::size_t at = (gap + 1) & mask(); entries_[at].slot != kNone; at = (at + 1) & mask()) {
      const std::size_t home = entries_[at].tag & mask();
      if (((at - home) & mask()) < ((at - gap) & mask())) continue;
      entries_[gap] = entries_[at];
      gap = at;
    }
    entries_[gap] = {};
    --size_;
  }

 private:
  static constexpr std::size_t kFirstSize = 64;  // a power of two, like all sizes

  struct Entry {
    std::uint32_t tag = 0;
    std::uint32_t slot = kNone;
  };

  [[nodiscard]] std::size_t mask() const { return entries_.size() - 1; }

  void put(const Entry& entry) {
    std::size_t at = entry.tag & mask();
    while (entries_[at].slot != kNone) at = (at + 1) & mask();
    entries_[at] = entry;
  }

  void grow() {
    const auto old = std::exchange(entries_, {});
    entries_.resize(std::max(kFirstSize, old.size() * 2));
    for (const Entry& entry : old) {
      if (entry.slot != kNone) put(entry);
    }
  }

  std::vector<Entry> entries_;  // at most half full
  std::size_t size_ = 0;
};

}  // namespace policyd
