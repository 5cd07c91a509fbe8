// SPDX-License-Identifier: AGPL-3.0-only
// Which recipients the units of a Window are, for limits on how many different ones there may be
// within a period: each unit is one recipient, and a further mail to it moves its unit to now. Pure
// functions of (recipients, window, time); the memory is eight bytes for each recipient.
//
// The recipients are kept in the order of their last use, which is the order of the window's pairs,
// so the last ones are those of the window's last units. Units before them are of recipients that
// are not known, as after an edit of the row by hand: such a recipient counts again as a new one.
//
// A recipient is a hash of 64 bits; two with the same one count as one. That may happen to anybody
// by chance in one of 10^13 counters of a thousand recipients.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/counting/window.hpp"

namespace policyd {

class DistinctRecipients {
 public:
  // The largest limit. Of a counter with more units, which only monitors, the latest are known.
  static constexpr std::size_t kMax = 1'000;

  // Of both texts together; the same on every host and in every version, since it is stored.
  static std::uint64_t hash_of(std::string_view local_part, std::string_view rest);

  DistinctRecipients() = default;
  DistinctRecipients(const DistinctRecipients& other);
  DistinctRecipients& operator=(const DistinctRecipients& other);
  DistinctRecipients(DistinctRecipients&&) noexcept = default;
  DistinctRecipients& operator=(DistinctRecipients&&) noexcept = default;
  ~DistinctRecipients() = default;

  // When its unit arrived last, as the window has it: never earlier than it was, and at most a
  // sixtieth of the period later. Nullopt if it is not known, or has left.
  [[nodiscard]] std::optional<TimePoint> last_use(const Window& window, std::uint64_t hash) const;
  // Both after Window::advance. Renews one for which last_use() has a value.
  void renew(Window& window, std::uint64_t hash, TimePoint now, Millis period);
  void add(Window& window, std::uint64_t hash, TimePoint now, Millis period);
  void clear() { hashes_.reset(); }
  [[nodiscard]] std::size_t size() const { return hashes_ ? hashes_->size() : 0; }

  // What a State begins with, before that of the Window; nothing if there are no recipients.
  void serialize(std::string& out) const;
  // Takes them from a State and returns the Window's; empty if it is damaged.
  std::string_view read(std::string_view state);
  // That part alone.
  static std::string_view window_state(std::string_view state);

 private:
  // The last one with this hash, as an index; size() if there is none.
  [[nodiscard]] std::size_t index_of(std::uint64_t hash) const;
  void trim(const Window& window);

  std::unique_ptr<std::vector<std::uint64_t>> hashes_;  // in the order of last use
};

}  // namespace policyd
