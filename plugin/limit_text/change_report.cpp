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

std::string_view participle(std::string_view verdict) {
  if (verdict == "defer") return "deferred";
  if (verdict == "reject") return "rejected";
  if (verdict == "hold") return "held";
  if (verdict == "discard") return "discarded";
  return "refused";
}

// Whoever tries a limit with verdict none must not lose one by it unawares.
std::vector<std::string> warnings(const Put& put, bool dry) {
  std::vector<std::string> out;
  if (!put.lost_verdict.empty()) {
    out.push_back(fmt::format("Warning: Nothing {} {} any more by limit {}: it {}.",
                              dry ? "would be" : "is", participle(put.lost_verdict), put.limit.id,
                              dry ? "would only watch" : "only watches now"));
  }
  for (const std::int64_t id : put.overruled) {
    out.push_back(
        fmt::format("Warning: {} {} by limit {} no more: limit {}, which only watches, "
                    "{} it for them.",
                    say_target(put.limit), dry ? "would be limited" : "is limited", id,
                    put.limit.id, dry ? "would replace" : "replaces"));
  }
  return out;
}

}  // namespace

std::string say_consequence(const std::string& consequence) {
  return fmt::format("  {}.", capitalised(consequence));
}

// What was done, in sentences; `dry` where it was only tried.
std::vector<std::string> say_put(const std::string& limit, const Put& put, bool dry) {
  std::vector<std::string> out;
  const std::string id = fmt::format("{}", put.limit.id);
  switch (put.kind) {
    case Put::Kind::made:
      out.push_back(dry ? fmt::format("Would make limit {}: {}.", id, limit)
                        : fmt::format("Made limit {}: {}.", id, limit));
      break;
    case Put::Kind::changed: {
      std::string what = put.differences.empty() ? std::string{"exceptions"} : std::string{};
      for (const std::string& difference : put.differences) {
        what += (what.empty() ? "" : ", ") + difference;
      }
      out.push_back(
          fmt::format("{} limit {}, {}: {}.", dry ? "Would change" : "Changed", id, what, limit));
      break;
    }
    case Put::Kind::same:
      out.push_back(fmt::format("Nothing to change, limit {} is there already: {}.", id, limit));
      break;
  }
  for (const std::string& consequence : put.consequences) {
    out.push_back(say_consequence(consequence));
  }
  for (std::string& warning : warnings(put, dry)) out.push_back(std::move(warning));
  return out;
}

}  // namespace limits
