// SPDX-License-Identifier: AGPL-3.0-only
// What has happened since the event writer last took it: the only thing that decisions do for
// events. One of a counter and minute that is known already costs a look-up, since sums are made
// when somebody reads them; beyond the capacity new ones are counted only. The loop's thread.
#pragma once

#include <boost/core/noncopyable.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "daemon/base/clock.hpp"
#include "daemon/base/ip_address.hpp"
#include "daemon/base/lru_table.hpp"
#include "daemon/events/event.hpp"
#include "daemon/events/refused_counters.hpp"
#include "daemon/protocol/request.hpp"

namespace policyd {

class EventQueue : boost::noncopyable {
 public:
  static constexpr std::size_t kCapacity = 10'000;

  explicit EventQueue(std::size_t capacity = kCapacity) : capacity_(capacity) {}

  struct What {
    EventKind kind = EventKind::refused;
    std::string_view module;
    std::int64_t row_id = 0;
    std::string_view track_key;
    std::string_view verdict;
    std::int64_t listed_as = 0;  // the row's limit in `carbonio-limits list`; 0: the row is it
  };
  // The event, if there was none of this counter and minute in the queue, for further details;
  // otherwise null: it is counted, and its mail is now the last one. The client comes when it is
  // taken.
  Event* note(const What& what, const Request& about, TimePoint now);
  // One that concerns no mail.
  Event* note(const What& what, TimePoint now);

  // 0: never near.
  void set_near_percent(unsigned percent) { near_percent_ = percent; }
  // Whether the use of a limit has just reached that share of it, and one more would still fit.
  [[nodiscard]] bool is_near(double before, double after, double limit) const {
    const double near = limit * near_percent_;
    return after * 100 >= near && before * 100 < near && limit * 100 >= near + 100;
  }

  // What has happened since the start, for the metrics. Beyond kMaxTotals rows it is one of module
  // "other".
  struct Total {
    EventKind kind = EventKind::refused;
    std::string module;
    std::int64_t row_id = 0;  // of Quotas: the limit as `carbonio-limits list` has it
    std::string verdict;
    std::uint64_t times = 0;
  };
  static constexpr std::size_t kMaxTotals = 500;
  template <typename Visit>
  void each_total(Visit visit) {
    add_up();
    std::as_const(totals_).each([&](const Total& total) {
      visit(total);
      return true;
    });
  }

  // Of Quotas and Accounting.
  const RefusedCounters& refused_counters() {
    add_up();
    return refused_counters_;
  }

  class Batch {
   public:
    [[nodiscard]] std::size_t size() const { return events_.size(); }
    [[nodiscard]] std::uint64_t lost() const { return lost_; }  // events that did not fit
    Event take_oldest();                                        // size() must not be 0

   private:
    friend class EventQueue;
    struct Noted {
      Event event;
      std::optional<IpAddress> client;  // of the last mail, if it concerns mail
      std::int64_t listed_as = 0;
      std::uint64_t added_up = 0;  // of the event's times
    };
    LruTable<Noted> events_;
    std::uint64_t lost_ = 0;
  };
  [[nodiscard]] std::size_t size() const { return batch_ ? batch_->size() : 0; }
  [[nodiscard]] bool empty() const { return !batch_; }
  std::unique_ptr<Batch> take();

 private:
  Batch::Noted* fold(const What& what, TimePoint now);
  void add_up();
  void add_up(What what, TimePoint last, std::uint64_t times);
  void add_to_totals(const What& what, std::uint64_t times);

  std::size_t capacity_;
  double near_percent_ = 0;
  std::unique_ptr<Batch> batch_;  // null: nothing has happened
  LruTable<Total> totals_;
  RefusedCounters refused_counters_;
};

}  // namespace policyd
