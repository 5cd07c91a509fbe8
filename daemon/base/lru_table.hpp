// SPDX-License-Identifier: AGPL-3.0-only
// A hash table that knows which of its values were used least recently. A look-up walks two compact
// arrays (eight bytes an entry in the index, twelve a value in the chain) and touches a value only
// if its hash agrees. With lists and nodes look-ups were the most expensive part of a decision,
// since their memory is never in the processor's cache. References to values are valid until the
// value is dropped. A Value with recycle() keeps its memory for the next value in its slot.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "daemon/base/hash_index.hpp"

namespace policyd {

template <typename Value>
class LruTable {
 public:
  // The value that was added with this hash and for which `is_right` holds, now the most recently
  // used; or null.
  template <typename IsRight>
  Value* find(std::size_t hash, IsRight is_right) {
    const std::uint32_t slot = index_.find(HashIndex::tag_of(hash),
                                           [&](std::uint32_t at) { return is_right(values_[at]); });
    if (slot == kNone) return nullptr;
    make_newest(slot);
    return &values_[slot];
  }

  // A new value, the most recently used; there must be no equal one.
  Value& add(std::size_t hash) {
    const std::uint32_t slot = take_slot();
    links_[slot].tag = HashIndex::tag_of(hash);
    index_.insert(links_[slot].tag, slot);
    put_first(slot);
    ++size_;
    return values_[slot];
  }

  [[nodiscard]] std::size_t size() const { return size_; }
  // The least recently used; size() must not be 0.
  [[nodiscard]] Value& oldest() { return values_[oldest_]; }
  void keep_oldest() { make_newest(oldest_); }
  void drop_oldest() {
    const std::uint32_t slot = oldest_;
    index_.erase(links_[slot].tag, slot);
    take_from_chain(slot);
    if constexpr (requires(Value & value) { value.recycle(); }) {
      values_[slot].recycle();
    } else {
      values_[slot] = Value{};
    }
    free_.push_back(slot);
    --size_;
  }

  // Most recently used first, until `visit` returns false.
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
  static constexpr std::uint32_t kNone = HashIndex::kNone;

  struct Link {
    std::uint32_t tag = 0;
    std::uint32_t newer = kNone;
    std::uint32_t older = kNone;
  };

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

  void make_newest(std::uint32_t slot) {
    if (slot == newest_) return;
    take_from_chain(slot);
    put_first(slot);
  }

  void take_from_chain(std::uint32_t slot) {
    const Link link = links_[slot];
    (link.newer == kNone ? newest_ : links_[link.newer].older) = link.older;
    (link.older == kNone ? oldest_ : links_[link.older].newer) = link.newer;
  }

  void put_first(std::uint32_t slot) {
    links_[slot].newer = kNone;
    links_[slot].older = newest_;
    (newest_ == kNone ? oldest_ : links_[newest_].newer) = slot;
    newest_ = slot;
  }

  HashIndex index_;
  std::deque<Value> values_;
  std::vector<Link> links_;  // of the value in the same slot
  std::vector<std::uint32_t> free_;
  std::uint32_t newest_ = kNone;
  std::uint32_t oldest_ = kNone;
  std::size_t size_ = 0;
};

}  // namespace policyd
