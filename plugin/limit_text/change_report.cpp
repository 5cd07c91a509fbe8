// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/limit_text/change_report.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

std::string capitalised(std::string text) {
  if (!text.empty() && text[0] >= 'a' && text[0] <= 'z') {
    text[0] = static_cast<char>(text[0] - 'a' + 'A');
  }
  return text;
}

std::string rates_in_words(const std::vector<Rate>& rates) {
  std::vector<std::string> parts;
  parts.reserve(rates.size());
  for (const Rate& rate : rates) parts.push_back(format_rate(rate));
  return join_with_and(parts);
}

bool same_window(const Rate& a, const Rate& b) { return a.unit == b.unit && a.period == b.period; }

// The rates of the limit and those that it loses; of two for the same period the smaller.
std::vector<Rate> all_rates(const ApplyResult& result) {
  std::vector<Rate> out = result.limit.plain_rates();
  for (const Loss& loss : result.losses) {
    for (const Rate& rate : loss.rates) {
      const auto known = std::find_if(out.begin(), out.end(),
                                      [&](const Rate& other) { return same_window(rate, other); });
      if (known == out.end()) {
        out.push_back(rate);
      } else {
        known->amount = std::min(known->amount, rate.amount);
      }
    }
  }
  std::sort(out.begin(), out.end(), [](const Rate& a, const Rate& b) {
    return a.period != b.period ? a.period < b.period : a.unit < b.unit;
  });
  return out;
}

}  // namespace

std::vector<std::string> warnings_of(
    const ApplyResult& result,
    const std::function<std::string(const std::vector<Rate>& rates)>& command) {
  std::vector<std::string> out;
  for (const Loss& loss : result.losses) {
    out.push_back(
        loss.replaced
            ? fmt::format(
                  "{} of limit {} (for {}) will no longer apply to {}, which gets a limit of "
                  "its own.",
                  rates_in_words(loss.rates), loss.of, loss.target, target_text(result.limit))
            : fmt::format("this takes {} away from limit {}.", rates_in_words(loss.rates),
                          loss.of));
  }
  const auto rates = all_rates(result);
  if (!out.empty() && rates.size() <= kMaxRates) {
    // Quotes around quotes would break when it is copied.
    const std::string line = command(rates);
    const char* quote = line.find('\'') == std::string::npos ? "'" : "";
    out.back() += fmt::format(" To keep {}: {}{}{}", of_number(rates.size() - 1, "both", "all"),
                              quote, line, quote);
  }
  return out;
}

std::string consequence_line(const std::string& consequence) {
  return fmt::format("  {}.", capitalised(consequence));
}

std::vector<std::string> report_change(const std::string& limit, const ApplyResult& result,
                                       bool dry) {
  std::vector<std::string> out;
  // By the ID that was known until now.
  const std::int64_t id = result.before ? result.before->id : result.limit.id;
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
  if (id != result.limit.id) {
    out.push_back(
        fmt::format("  {} limit {} from now on.", dry ? "It would be" : "It is", result.limit.id));
  }
  for (const std::string& consequence : result.consequences) {
    out.push_back(consequence_line(consequence));
  }
  return out;
}

}  // namespace limits
