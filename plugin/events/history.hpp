// SPDX-License-Identifier: AGPL-3.0-only
// What somebody has sent: the messages in session_tracking and the refusals in limits_events, added
// up by time, client, sender name and login. Memory is bounded whatever was sent, and the table is
// read in slices, so that no read transaction lasts.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "daemon/base/clock.hpp"
#include "plugin/database/change_set.hpp"
#include "plugin/events/sent_by.hpp"
#include "plugin/maillog/delivery_log.hpp"

namespace limits {

struct Tally {
  std::uint64_t messages = 0;
  std::uint64_t recipients = 0;
  std::uint64_t kib = 0;
  std::uint64_t refused = 0;
  policyd::TimePoint first = policyd::TimePoint::max();
  policyd::TimePoint last = policyd::TimePoint::min();

  void add(const Tally& other);
};

// By name. Beyond kMax names those that come first are kept.
class Tallies {
 public:
  static constexpr std::size_t kMax = 10'000;
  struct Of {
    Tally tally;
    std::string detail;  // of the last one that has any
  };
  using Named = std::pair<std::string, Of>;

  void add(std::string_view name, const Tally& tally, std::string_view detail = {});
  [[nodiscard]] std::size_t size() const { return by_name_.size(); }
  [[nodiscard]] bool more() const { return more_; }  // than size()
  // Those who sent or tried most first.
  [[nodiscard]] std::vector<Named> sorted() const;

 private:
  std::unordered_map<std::string, Of> by_name_;
  bool more_ = false;
};

struct SentMessage {
  policyd::TimePoint at{};
  std::string queue_id, sender, login, client;
  std::string recipient;  // the first
  std::uint64_t recipients = 0;
  std::uint64_t kib = 0;
  std::optional<Deliveries> became = {};  // by read_deliveries(), if the mail log says it
};

struct HistoryQuestion {
  policyd::TimePoint since{};
  bool by_day = false;     // else by hour
  std::size_t latest = 0;  // messages to show
  // Rows of session_tracking that are read, the newest first.
  std::size_t max_rows = 5'000'000;
};

struct History {
  Tally all;
  std::map<policyd::TimePoint, Tally> over_time;  // by the beginning of the hour or day
  Tallies clients, senders, logins;
  std::vector<SentMessage> latest;               // the latest first
  std::optional<policyd::TimePoint> kept_since;  // the oldest message of anybody
  // Where reading ended at max_rows.
  std::optional<policyd::TimePoint> read_since = {};
  std::string mail_log_problem = {};  // by read_deliveries(): DeliveryLog::Found::problem
};

Result<History> read_history(const Tables& tables, const SentBy& who,
                             const HistoryQuestion& question);

// What became of the latest messages.
void read_deliveries(
    const DeliveryLog& log, History& into,
    const std::function<void(std::uint64_t done, std::uint64_t all)>& progress = {});

}  // namespace limits
