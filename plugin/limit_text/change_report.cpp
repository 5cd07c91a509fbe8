// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/limit_text/change_report.hpp"

#include <fmt/core.h>

namespace limits {
namespace {

std::string capitalised(std::string text) {
  if (!text.empty() && text[0] >= 'a' && text[0] <= 'z') {
    text[0] = static_cast<char>(text[0] - 'a' + 'A');
  }
  return text;
}

// Trying out a limit with verdict none must not silently disable one that protects.
std::vector<std::string> warnings(const ApplyResult& result, bool dry) {
  const std::int64_t id = result.limit.id;
  std::vector<std::string> out;
  if (!result.lost_verdict.empty()) {
    out.push_back(fmt::format(
        fmt::runtime(dry ? "Warning: limit {} would no longer {} mail; it would only monitor."
                         : "Warning: limit {} no longer {}s mail; it only monitors."),
        id, result.lost_verdict));
  }
  for (const std::int64_t overruled : result.overruled) {
    out.push_back(fmt::format(
        fmt::runtime(dry ? "Warning: limit {} would no longer apply to {}: limit {}, which only "
                           "monitors, would replace it for them."
                         : "Warning: limit {} no longer applies to {}: limit {}, which only "
                           "monitors, replaces it for them."),
        overruled, target_text(result.limit), id));
  }
  return out;
}

}  // namespace

std::string consequence_line(const std::string& consequence) {
  return fmt::format("  {}.", capitalised(consequence));
}

std::vector<std::string> report_change(const std::string& limit, const ApplyResult& result,
                                       bool dry) {
  std::vector<std::string> out;
  const std::int64_t id = result.limit.id;
  switch (result.kind) {
    case ApplyResult::Kind::created:
      out.push_back(fmt::format("{} limit {}: {}.", dry ? "Would create" : "Created", id, limit));
      break;
    case ApplyResult::Kind::changed: {
      std::string what = result.differences.empty() ? std::string{"exceptions"} : std::string{};
      for (const std::string& difference : result.differences) {
        what += (what.empty() ? "" : ", ") + difference;
      }
      out.push_back(
          fmt::format("{} limit {} ({}): {}.", dry ? "Would change" : "Changed", id, what, limit));
      break;
    }
    case ApplyResult::Kind::unchanged:
      out.push_back(fmt::format("Nothing to change, limit {} exists already: {}.", id, limit));
      break;
  }
  for (const std::string& consequence : result.consequences) {
    out.push_back(consequence_line(consequence));
  }
  for (std::string& warning : warnings(result, dry)) out.push_back(std::move(warning));
  return out;
}

}  // namespace limits
