// SPDX-License-Identifier: AGPL-3.0-only
// The plain model of Quotas: every arrival is remembered, every rule is walked, nothing is indexed.
// The exact window may be held up to a sixtieth of a period too long (README), so that near that
// edge two answers are right: the model takes the daemon's and goes on from there.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "rules.hpp"

namespace differential {

// A row of quotas_tracking.
struct Count {
  struct Arrival {
    std::int64_t ms = 0;
    double units = 0;
  };
  std::vector<Arrival> arrivals;  // of the window
  double value = 0;               // of decay
  std::int64_t last_ms = 0;

  // What the window holds at least, and at most.
  [[nodiscard]] double least(std::int64_t now_ms, std::int64_t period_ms) const;
  [[nodiscard]] double most(std::int64_t now_ms, std::int64_t period_ms) const {
    return least(now_ms, period_ms + period_ms / 60);
  }
};

class Model {
 public:
  enum class Algorithm : std::uint8_t { window, decay };
  using Key = std::pair<std::int64_t, std::string>;  // limit, tracking key

  Model(Rules& rules, Algorithm algorithm) : rules_(rules), algorithm_(algorithm) {}

  // Whether `answer` ("DUNNO", "DEFER q3") is right for what was asked at `now_ms` in that batch;
  // nothing where it is, else what would have been. Asked in the daemon's order.
  std::optional<std::string> objection(const Asked& asked, const std::string& answer,
                                       std::int64_t now_ms, std::uint64_t batch);

  // The daemon stops in order, or is gone from one moment to the next; then it starts.
  void restart(bool in_order, std::int64_t now_ms);

  // What an admin does to a row of quotas_tracking.
  void remove(const Key& key) { counts_.erase(key); }
  void edit(const Key& key, double counter, std::int64_t now_ms);

  [[nodiscard]] const std::map<Key, Count>& counts() const { return counts_; }
  [[nodiscard]] std::uint64_t either_was_right() const { return either_; }
  [[nodiscard]] std::uint64_t refused() const { return refused_; }

  // Nothing where a row of quotas_tracking is as it should be, else what is wrong.
  [[nodiscard]] std::optional<std::string> objection_to_row(const Key& key, double counter,
                                                            double last_update_s) const;

 private:
  struct Recipient {
    Asked asked;
    std::vector<std::int64_t> policies;
    std::string answer;
  };
  struct Message {
    std::vector<Recipient> recipients;
    std::int64_t last_rcpt_ms = 0;
    std::optional<std::string> end;
  };
  using Question = std::tuple<std::string, std::string, bool>;
  struct Touched {
    Key key;
    double units = 0;
  };
  enum class Exceeded : std::uint8_t { no, perhaps, yes };
  struct Walk {
    const std::string& answer;  // the daemon's
    bool before_crash = false;
    std::int64_t now_ms = 0;
    std::vector<Touched> touched;
    std::optional<std::string> verdict;  // that ends it
    bool counts_nothing = false;
    bool counted = false;
  };

  [[nodiscard]] const Policy* enabled_policy(std::int64_t id) const;
  Exceeded exceeded(const Key& key, const Quota& quota, const Limit& limit, double asked_for,
                    std::int64_t now_ms) const;
  void conclude(Walk& walk, const Quota& quota, Exceeded how, const std::string& text);
  void walk_rcpt(Walk& walk, const Quota& quota, const Asked& asked);
  void walk_end(Walk& walk, const Quota& quota, const Asked& asked, double kib);
  void add_size_decaying(Walk& walk, const Quota& quota, const Asked& asked, double kib);
  void count(Walk& walk);
  std::optional<std::string> rcpt(const Asked& asked, Walk& walk, std::uint64_t batch);
  std::optional<std::string> end(const Asked& asked, Walk& walk, std::uint64_t batch);
  void note(const Asked& asked, const Walk& walk, const std::string& answer, std::uint64_t batch);
  Message* take_over(const std::string& instance);

  Rules& rules_;
  Algorithm algorithm_;
  std::map<Key, Count> counts_;
  std::map<std::int64_t, std::int64_t> period_ms_;  // of a limit
  std::map<std::string, Message> messages_;         // in the daemon's memory
  std::map<std::string, Message> kept_;             // rows of messages under way
  std::set<std::string> under_way_;                 // of them, those there at the start
  // The questions counted by the last batches, for Postfix's retry after a crash.
  std::array<std::set<Question>, 16> ring_;
  std::size_t slot_ = 0;
  std::uint64_t slot_batch_ = 0;
  std::set<Question> counted_before_;
  std::uint64_t either_ = 0;
  std::uint64_t refused_ = 0;
};

}  // namespace differential
