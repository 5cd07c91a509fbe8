// SPDX-License-Identifier: AGPL-3.0-only
// What the other MTAs of a cluster have counted in the limits of one question, for Quotas: from the
// answer to Question::wanted, or because a counter is known to be full.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>

#include "daemon/modules/module.hpp"

namespace policyd {

class SharedLimits {
 public:
  struct Part {
    const Window* others = nullptr;  // valid until begin(); null: nothing, or not known
    int wanted = -1;                 // its place in Question::granted
    [[nodiscard]] double use() const {
      return others == nullptr ? 0 : static_cast<double>(others->use());
    }
  };

  // The next question.
  void begin();
  // Of one limit, whose period is `period`; the limits of a question in the order of `wanted`.
  Part part_of(const Question& question, std::int64_t limit_id, std::string_view track_key,
               Millis period);

  // The figure that holds here: the limit's own, or this host's share while the others cannot be
  // asked.
  static double limit_of(const Question& question, const Part& part, double limit);
  // Whether the limit refuses, with `use` of all MTAs and `asked` that must be free. What the
  // others have allowed stays allowed.
  static bool exceeds(const Question& question, const Part& part, double use, double asked,
                      double limit, bool bites);
  // Whether what is counted now is unknown to the others.
  static bool is_unknown_to_others(const Question& question) {
    return question.shared != nullptr &&
           (question.granted == nullptr || !question.granted->own_limits.empty());
  }
  // Nothing may pass while the others cannot be asked.
  static Next defer(Question& question);

 private:
  std::deque<Window> full_;
  std::size_t next_ = 0;  // of Question::granted
};

}  // namespace policyd
