// SPDX-License-Identifier: AGPL-3.0-only
// Errors of rows, met while questions are decided: logged once for each snapshot of the rules, not
// once for each mail that the row concerns. The loop's thread.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_set>
#include <utility>

#include "daemon/modules/module.hpp"

namespace policyd {

class RowErrors {
 public:
  // `text` names module, table and ID. It may differ from mail to mail only in figures of the row.
  void log(const Question& question, std::string text) {
    if (question.rules.version != version_) {
      version_ = question.rules.version;
      told_.clear();
    }
    if (told_.size() >= kMost || told_.contains(text)) return;
    question.log.error(text);
    told_.insert(std::move(text));
  }

 private:
  static constexpr std::size_t kMost = 1000;

  std::int64_t version_ = -1;
  std::unordered_set<std::string> told_;
};

}  // namespace policyd
