// SPDX-License-Identifier: AGPL-3.0-only
// The mark of `answer --due`: a file whose time is that of its last run that did what was due, so
// that doctor sees when there is none; while a run holds its lock, no other begins.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>

#include "daemon/base/clock.hpp"
#include "daemon/base/result.hpp"
#include "daemon/base/unique_fd.hpp"

namespace limits {

inline constexpr const char* kAnswerTimer = "carbonio-limits-answer.timer";
inline constexpr std::chrono::minutes kAnswersWithin{10};  // runs are a minute apart

std::filesystem::path answers_file(const std::filesystem::path& zextras_home);
std::optional<policyd::TimePoint> last_answer_run(const std::filesystem::path& zextras_home);

class AnswerRun {
 public:
  // As the owner of the database.
  static policyd::Result<AnswerRun> begin(const std::filesystem::path& file,
                                          policyd::TimePoint now);

  [[nodiscard]] bool other_runs() const { return !locked_; }
  // Every ten minutes: what an account has sent in a month is read only then.
  [[nodiscard]] bool rates_are_due() const { return rates_are_due_; }
  // All that was due has been done.
  void finish() const;

 private:
  policyd::UniqueFd fd_;
  policyd::TimePoint now_{};
  bool locked_ = false;
  bool rates_are_due_ = false;
};

}  // namespace limits
