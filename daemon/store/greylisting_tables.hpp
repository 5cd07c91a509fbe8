// SPDX-License-Identifier: AGPL-3.0-only
// What module Greylisting remembers: triplets (track key, sender, recipient), and the track keys
// that were found good or bad. Provided by a batch's Transaction; writes are visible at once within
// the batch.
//
// If the batch's commit fails after its decisions, its writes here are lost, unlike counters: a
// mail that was deferred counts as never seen and is deferred once more. After a failure of the
// tables themselves reads find nothing and writes do nothing, and Transaction::greylisting() is
// null for the rest of the batch. The loop's thread.
#pragma once

#include <boost/core/noncopyable.hpp>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

namespace policyd {

// A row of greylisting_tracking; `id` is valid until the end of the batch.
struct Triplet {
  std::int64_t id = 0;
  std::chrono::sys_seconds first_seen{};
  std::int64_t tries = 0;  // the number of times it was deferred
  std::chrono::sys_seconds last_update{};
  std::int64_t passes = 0;  // the number of times it was let through
};

// Triplets of one track key.
struct TripletCounts {
  std::int64_t total = 0;
  std::int64_t passed = 0;  // let through at least once
};

class GreylistingTables : boost::noncopyable {
 public:
  using Time = std::chrono::sys_seconds;  // never before 1970

  virtual ~GreylistingTables() = default;

  [[nodiscard]] virtual std::optional<Triplet> find(std::string_view track_key,
                                                    std::string_view sender,
                                                    std::string_view recipient) = 0;
  // A triplet seen for the first time, with Tries 1 and Count 0.
  virtual void insert(std::string_view track_key, std::string_view sender,
                      std::string_view recipient, Time now) = 0;
  virtual void set_first_seen(const Triplet& triplet, Time first_seen) = 0;
  // Seen again: Tries + 1, or Count + 1.
  virtual void deferred(const Triplet& triplet, Time now) = 0;
  virtual void passed(const Triplet& triplet, Time now) = 0;
  // Triplets first seen at `since` or later.
  [[nodiscard]] virtual TripletCounts count(std::string_view track_key, Time since) = 0;

  // When the track key was last seen while on the whitelist; nullopt if it is not on it.
  [[nodiscard]] virtual std::optional<Time> auto_whitelist_seen(std::string_view track_key) = 0;
  virtual void renew_auto_whitelist(std::string_view track_key, Time now) = 0;
  // Adds it to the list, or restarts its time there. `comment` is for the admin.
  virtual void auto_whitelist(std::string_view track_key, Time now, std::string_view comment) = 0;

  // When the track key was blacklisted; nullopt if it is not on the list.
  [[nodiscard]] virtual std::optional<Time> auto_blacklist_added(std::string_view track_key) = 0;
  virtual void auto_blacklist(std::string_view track_key, Time now, std::string_view comment) = 0;
};

}  // namespace policyd
