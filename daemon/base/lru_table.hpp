// SPDX-License-Identifier: AGPL-3.0-only
// A hash table that knows which of its values were used least recently. Look-ups walk two compact
// arrays (eight bytes an entry in the index, twelve a value in the chain) and touch a value only
// where the hash agrees: with lists and nodes they were the dearest part of a decision, since their
// memory is never in the processor's cache. References to values hold until they are dropped. A
// Value with recycle() keeps its memory for the one that gets its place.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <vector>

namespace policyd {

template <typename Value>
class LruTable {
 public:
  // The value that was added with this hash and of which `is_wanted` holds, now the most recently
  // used; or null.
  template <typename IsWanted>
  Value* find(std::size_t hash, IsWanted is_wanted) {
    if (index_.empty()) return nullptr;
    const auto tag = tag_of(hash);
    for (std::size_t at = tag & mask(); index_[at].slot != kNone; at = (at + 1) & mask()) {
      const Place place = index_[at];
      if (place.tag != tag || !is_wanted(values_[place.slot])) continue;
      make_newest(place.slot);
      return &values_[place.slot];
    }
    return nullptr;
  }

  // Another one, the most recently used; the caller knows that there is none like it.
  Value& add(std::size_t hash) {
    if ((size_ + 1) * 2 > index_.size()) grow();
    const std::uint32_t slot = take_slot();
    links_[slot].tag = tag_of(hash);
    put_in_index(slot);
    put_in_front(slot);
    ++size_;
    return values_[slot];
  }

  [[nodiscard]] std::size_t size() const { return size_; }
  // The least recently used; size() must not be 0.
  [[nodiscard]] Value& oldest() { return values_[oldest_]; }
  void keep_oldest() { make_newest(oldest_); }
  void drop_oldest() {
    const std::uint32_t slot = oldest_;
    take_from_index(slot);
    take_from_chain(slot);
    if constexpr (requires(Value & value) { value.recycle(); }) {
      values_[slot].recycle();
    } else {
      values_[slot] = Value{};
    }
    free_.push_back(slot);
    --size_;
  }

  // Most recently used first, as long as `visit` says true.
  template <typename Visit>
  void each(Visit visit) const {
    for (std::uint32_t slot = newest_; slot != kNone; slot = links_[slot].older) {
      if (!visit(values_[slot])) return;
    }
  }
  template <typename Visit>
  void each(Visit visit) {
    for (std::uint32_t slot = newest_; slot != kNone; slot = links_[slot].older) {
      if (!visit(values_[slot])) return;
    }
  }

 private:
  static constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();
  static constexpr std::size_t kFirstIndex = 64;  // a power of two, as all its sizes

  struct Place {
    std::uint32_t tag = 0;
    std::uint32_t slot = kNone;
  };
  struct Link {
    std::uint32_t tag = 0;
    std::uint32_t newer = kNone;
    std::uint32_t older = kNone;
  };

  // The hashes of std::hash are good in all of their bits.
  static std::uint32_t tag_of(std::size_t hash) {
    return static_cast<std::uint32_t>(hash ^ (hash >> 32U));
  }
  [[nodiscard]] std::size_t mask() const { return index_.size() - 1; }

  std::uint32_t take_slot() {
    if (free_.empty()) {
      values_.emplace_back();
      links_.emplace_back();
      return static_cast<std::uint32_t>(values_.size() - 1);
    }
    const std::uint32_t slot = free_.back();
    free_.pop_back();
    return slot;
  }

  void grow() {
    index_.assign(std::max(kFirstIndex, index_.size() * 2), Place{});
    for (std::uint32_t slot = newest_; slot != kNone; slot = links_[slot].older) put_in_index(slot);
  }

  void put_in_index(std::uint32_t slot) {
    std::size_t at = links_[slot].tag & mask();
    while (index_[at].slot != kNone) at = (at + 1) & mask();
    index_[at] = {links_[slot].tag, slot};
  }

  // Those behind it move up where that brings them nearer to where they belong, so that no search
  // ends too early.
  void take_from_index(std::uint32_t slot) {
    std::size_t gap = links_[slot].tag & mask();
    while (index_[gap].slot != slot) gap = (gap + 1) & mask();
    for (std::size_t at = (gap + 1) & mask(); index_[at].slot != kNone; at = (at + 1) & mask()) {
      const std::size_t home = index_[at].tag & mask();
      if (((at - home) & mask()) < ((at - gap) & mask())) continue;
      index_[gap] = index_[at];
      gap = at;
    }
    index_[gap] = {};
  }

  void make_newest(std::uint32_t slot) {
    if (slot == newest_) return;
    take_from_chain(slot);
    put_in_front(slot);
  }

  void take_from_chain(std::uint32_t slot) {
    const Link link = links_[slot];
    (link.newer == kNone ? newest_ : links_[link.newer].older) = link.older;
    (link.older == kNone ? oldest_ : links_[link.older].newer) = link.newer;
  }

  void put_in_front(std::uint32_t slot) {
    links_[slot].newer = kNone;
    links_[slot].older = newest_;
    (newest_ == kNone ? oldest_ : links_[newest_].newer) = slot;
    newest_ = slot;
  }

  std::vector<Place> index_;
  std::deque<Value> values_;
  std::vector<Link> links_;  // of the value in the same place
  std::vector<std::uint32_t> free_;
  std::uint32_t newest_ = kNone;
  std::uint32_t oldest_ = kNone;
  std::size_t size_ = 0;
};

}  // namespace policyd
