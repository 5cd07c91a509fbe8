// SPDX-License-Identifier: AGPL-3.0-only
// What module Greylisting remembers: triplets (track key, sender, recipient), and the track keys
// that were found good or bad. A batch's Transaction hands it out; what is written is read back at
// once within the batch.
//
// Where the batch's commit fails after its decisions, what it wrote here is lost, unlike counters:
// a mail that was deferred counts as never seen and is deferred once more. After a failure of the
// tables themselves reads find nothing and writes do nothing, and Transaction::greylisting() is
// null for the rest of the batch. The loop's thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

namespace policyd {

// A row of greylisting_tracking; `id` holds until the end of the batch.
struct Triplet {
  std::int64_t id = 0;
  std::chrono::sys_seconds first_seen{};
  std::int64_t tries = 0;  // deferred so often
};

// Triplets of one track key.
struct TripletCounts {
  std::int64_t total = 0;
  std::int64_t passed = 0;  // let through at least once
};

class GreylistingTables {
 public:
  using Time = std::chrono::sys_seconds;  // never before 1970

  GreylistingTables() = default;
  GreylistingTables(const GreylistingTables&) = delete;
  GreylistingTables& operator=(const GreylistingTables&) = delete;
  virtual ~GreylistingTables() = default;

  [[nodiscard]] virtual std::optional<Triplet> find(std::string_view track_key,
                                                    std::string_view sender,
                                                    std::string_view recipient) = 0;
  // A triplet seen for the first time, with Tries 1 and Count 0.
  virtual void insert(std::string_view track_key, std::string_view sender,
                      std::string_view recipient, Time now) = 0;
  // Seen again: Tries + 1, or Count + 1.
  virtual void deferred(const Triplet& triplet, Time now) = 0;
  virtual void passed(const Triplet& triplet, Time now) = 0;
  // Those first seen at `since` or later.
  [[nodiscard]] virtual TripletCounts count(std::string_view track_key, Time since) = 0;

  // When the track key was last seen while it was good; nullopt where it is not on the list.
  [[nodiscard]] virtual std::optional<Time> auto_whitelist_seen(std::string_view track_key) = 0;
  virtual void renew_auto_whitelist(std::string_view track_key, Time now) = 0;
  // Puts it on the list, or begins its time there anew. `comment` is for the admin.
  virtual void auto_whitelist(std::string_view track_key, Time now, std::string_view comment) = 0;

  // When the track key was found bad; nullopt where it is not on the list.
  [[nodiscard]] virtual std::optional<Time> auto_blacklist_added(std::string_view track_key) = 0;
  virtual void auto_blacklist(std::string_view track_key, Time now, std::string_view comment) = 0;
};

}  // namespace policyd
