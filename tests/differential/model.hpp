// SPDX-License-Identifier: AGPL-3.0-only
// The plain model of Quotas: it remembers every arrival, walks every rule and indexes nothing. The
// exact window may hold a unit up to a sixtieth of a period too long (README), so near that edge
// two answers are right: the model accepts the daemon's and continues from there.
#pragma once

#include <array>
#include <cstddef>
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
  // When each different recipient was used last, where a limit counts those; by the window always.
  std::map<std::string, std::int64_t> recipients;
  bool distinct = false;
  double value = 0;  // of decay
  std::int64_t last_ms = 0;

  // The minimum and maximum use of the window.
  [[nodiscard]] double min_use(std::int64_t now_ms, std::int64_t period_ms) const;
  [[nodiscard]] double max_use(std::int64_t now_ms, std::int64_t period_ms) const {
    return min_use(now_ms, period_ms + period_ms / 60);
  }
};

class Model {
 public:
  enum class Algorithm : std::uint8_t { window, decay };
  using Key = std::pair<std::int64_t, std::string>;  // limit, tracking key

  Model(Rules& rules, Algorithm algorithm) : rules_(rules), algorithm_(algorithm) {}

  // Nullopt if `answer` ("DUNNO", "DEFER q3") is right for the question at `now_ms` in that batch,
  // else the right answer. Call it in the order in which the daemon decides.
  std::optional<std::string> objection(const Asked& asked, const std::string& answer,
                                       std::int64_t now_ms, std::uint64_t batch);

  // An admin changes a row of the rules.
  void rules_changed() { ++rules_version_; }

  // The daemon stops cleanly or is killed; then it starts.
  void restart(bool clean, std::int64_t now_ms);

  // An admin changes a row of quotas_tracking.
  void remove(const Key& key) { counts_.erase(key); }
  void edit(const Key& key, double counter, std::int64_t now_ms);

  [[nodiscard]] const std::map<Key, Count>& counts() const { return counts_; }
  [[nodiscard]] std::uint64_t ambiguous() const { return ambiguous_; }
  [[nodiscard]] std::uint64_t refused() const { return refused_; }

  // Nullopt if a row of quotas_tracking is right, else what is wrong.
  [[nodiscard]] std::optional<std::string> objection_to_row(const Key& key, double counter,
                                                            double last_update_s) const;

 private:
  struct Recipient {
    Asked asked;
    std::vector<std::int64_t> policies;
    std::string answer;
    // The quotas in which it has counted, in these rules.
    std::set<std::int64_t> counted;
    std::int64_t rules_version = 0;
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
    std::string recipient = {};  // of a limit on different ones
  };
  enum class Exceeded : std::uint8_t { no, perhaps, yes };
  struct Walk {
    const std::string& answer;  // the daemon's
    bool before_crash = false;
    std::int64_t now_ms = 0;
    std::vector<Touched> touched;
    std::optional<std::string> verdict;  // ends it
    bool counts_nothing = false;
    bool counted = false;
  };

  [[nodiscard]] const Policy* enabled_policy(std::int64_t id) const;
  Exceeded exceeded(const Key& key, const Quota& quota, const Limit& limit, double asked_for,
                    std::int64_t now_ms) const;
  [[nodiscard]] Exceeded exceeded_by(const std::string& recipient, const Key& key,
                                     const Quota& quota, const Limit& limit,
                                     std::int64_t now_ms) const;
  void conclude(Walk& walk, const Quota& quota, Exceeded how, const std::string& text);
  static std::size_t earlier(const Message& message, std::int64_t policy, const Quota& quota,
                             const std::string& key);
  [[nodiscard]] bool is_counted(const Message& message, const Quota& quota,
                                const std::string& key) const;
  void walk_rcpt(Walk& walk, const Message& message, std::int64_t policy, const Quota& quota,
                 const Asked& asked);
  void walk_end(Walk& walk, const Quota& quota, const Asked& asked, double kib);
  void add_size_decaying(Walk& walk, const Quota& quota, const Recipient& recipient, double kib);
  void count(Walk& walk);
  std::optional<std::string> rcpt(const Asked& asked, Walk& walk, std::uint64_t batch);
  std::optional<std::string> end(const Asked& asked, Walk& walk, std::uint64_t batch);
  void note(const Asked& asked, const Walk& walk, const std::string& answer, std::uint64_t batch);
  Message* resume(const std::string& instance);

  Rules& rules_;
  Algorithm algorithm_;
  std::int64_t rules_version_ = 0;
  std::map<Key, Count> counts_;
  std::map<std::int64_t, std::int64_t> period_ms_;  // of a limit
  std::map<std::string, Message> messages_;         // in the daemon's memory
  std::map<std::string, Message> saved_;            // rows of open messages
  std::set<std::string> resumable_;                 // of them, those there at the start
  // The questions that the last batches counted, for Postfix's repeats after a crash.
  std::array<std::set<Question>, 16> ring_;
  std::size_t slot_ = 0;
  std::uint64_t slot_batch_ = 0;
  std::set<Question> counted_before_;
  std::uint64_t ambiguous_ = 0;
  std::uint64_t refused_ = 0;
};

}  // namespace differential
