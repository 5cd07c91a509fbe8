// SPDX-License-Identifier: AGPL-3.0-only
// Logs the invalid rows that decisions run into: once per snapshot of the rules, not once per mail
// that the row applies to. The loop's thread.
#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "daemon/modules/module.hpp"

namespace policyd {

class RowErrors {
 public:
  // The answer of an invalid row: DEFER, with the problem in the log. `problem` begins with the
  // table and the ID, "quota=3: ..."; it must not contain anything of the mail.
  void refuse(Question& question, std::string_view module, std::string problem) {
    question.verdict = {Action::defer, {}};
    question.reason.kind = Reason::Kind::invalid_row;
    if (question.rules.version != version_) {
      version_ = question.rules.version;
      logged_.clear();
    }
    if (logged_.size() < kMaxLogged && !logged_.contains(problem)) {
      question.log.error(fmt::format("module={}, {}", module, problem));
      logged_.insert(problem);
    }
    question.reason.problem = std::move(problem);
  }

 private:
  static constexpr std::size_t kMaxLogged = 1000;

  std::int64_t version_ = -1;
  std::unordered_set<std::string> logged_;
};

}  // namespace policyd
