// SPDX-License-Identifier: AGPL-3.0-only
// Which steps (limit/steps.hpp) are due: read from limits_events and nothing else, so that no run
// leaves anything to the next. Each step that is taken is an event itself, from which on refusals
// are counted anew; so is a block or its end by a person, after which the first step comes again.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/events/event.hpp"
#include "plugin/block/own_names.hpp"
#include "plugin/database/change_set.hpp"
#include "plugin/limit/steps.hpp"
#include "plugin/limit/target.hpp"
#include "plugin/rows/read_limits.hpp"

namespace limits {

// How far back steps look: "twice in a day".
inline constexpr std::chrono::hours kStepsWithin{24};
// Refusals with a longer pause between them are two times.
inline constexpr std::chrono::hours kPauseBetween{1};

struct DueStep {
  policyd::Event about;  // the counter, and the mail that was last refused: what is announced
  Step step;
  std::string by;      // "limit 3", "signal networks"
  std::string reason;  // "refused 53 times in a row"
  // The step that was next would have stopped them, and is still the next one.
  bool only_notifies = false;
};

// Verdict of the event of a step that could not be taken; its detail says why.
inline constexpr std::string_view kOnlyNotified = "notify only";

// The one after `taken` others; the last one is repeated.
Step next_step(const std::vector<Step>& steps, std::size_t taken);

inline constexpr std::string_view kMayBeForged = "others may have used this address";
// Instead of a step that would stop someone but must not or cannot, as `why` says. It is still the
// next one.
void only_notify(DueStep& due, std::string_view why);

// The name that a counter is of, as `block` takes it; empty for one that others share.
std::string name_of_counter(std::string_view track_key);
// Why `block` cannot stop the sender whose counter it is; empty if it can.
std::string_view why_unnamed(std::string_view track_key);

// What has been done already about a name, as events say; the newest are put first.
class StepsTaken {
 public:
  // `login_domain`: of logins without a domain; empty if that is not known.
  explicit StepsTaken(std::string login_domain = {}) : login_domain_(std::move(login_domain)) {}

  // An event of the last day that is about steps; others are ignored.
  void put(const policyd::Event& event);

  // Until when everything is done with; nullopt: nothing was done in the last day.
  [[nodiscard]] std::optional<policyd::TimePoint> done_until(std::string_view by,
                                                             std::string_view track_key) const;
  // How many steps were taken since a person has done something about it.
  [[nodiscard]] std::size_t count(std::string_view by, std::string_view track_key) const;

 private:
  struct Taken {
    std::size_t steps = 0;
    policyd::TimePoint last{};
  };
  struct Touched {
    bool by_person = false;
    policyd::TimePoint last{};
  };
  [[nodiscard]] std::string name_of_key(std::string_view track_key) const;

  std::string login_domain_;
  std::map<std::string, Taken, std::less<>> taken_;    // by `by` and counter
  std::map<std::string, Touched, std::less<>> names_;  // blocked or freed
};

// Of limits with --then: refused `after` times with no pause of an hour between, or twice in the
// last day; only for those that were refused in the last hour, and not freed since (FreedSince).
// With how many steps were taken by themselves in it.
struct DueSteps {
  std::vector<DueStep> steps;
  std::size_t stopped_lately = 0;  // accounts and clients
  StepsTaken taken;
};
Result<DueSteps> read_due_steps(const Tables& tables, const AllLimits& all, const OwnNames& own,
                                std::uint64_t after, policyd::TimePoint now);

// Whether others could have the account stopped by using its address: a login may send under any
// where Postfix allows it, so only counters by login or client are safe.
bool can_be_forged(const StoredLimit& limit);

}  // namespace limits
