// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/modules/text/accounting_text.hpp"

#include <fmt/core.h>

#include <array>
#include <chrono>
#include <ctime>

#include "daemon/modules/text/mail_line.hpp"

namespace policyd {

namespace {

// For strftime(3), by Period.
constexpr std::array kFormats = {"%Y-%m-%d", "%Y/%V", "%Y-%m", ""};

std::string figure(std::int64_t used, std::int64_t limit, bool bare_without_limit) {
  if (limit <= 0) return bare_without_limit ? "/-" : fmt::format("{}/-", used);
  return fmt::format("{}/{} ({:.1f}%)", used, limit,
                     static_cast<double>(used) / static_cast<double>(limit) * 100);
}

}  // namespace

std::string period_key(AccountingRow::Period period, TimePoint time) {
  const std::time_t seconds =
      std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
  std::tm local{};
  if (::localtime_r(&seconds, &local) == nullptr) return {};
  std::array<char, 32> text{};
  return {text.data(), std::strftime(text.data(), text.size(),
                                     kFormats.at(static_cast<std::size_t>(period)), &local)};
}

std::string accounting_line(const AccountingLine& line) {
  std::string out = mail_line("Accounting", line.what, line.request, line.recipient, line.reason);
  const bool bare = line.bare_without_limit;
  out += fmt::format(", policy={}, accounting={}, track={}, period={}, count={}, size={}",
                     line.policy.id, line.row.id, line.track_key, line.period_key,
                     figure(line.used.messages, line.row.count_limit, bare),
                     figure(line.used.kib, line.row.size_limit, bare));
  return out;
}

std::string accounting_answer(const AccountingRow& row, AccountingLimit exceeded) {
  if (!row.data.empty()) return row.data;
  return exceeded == AccountingLimit::message_count
             ? "Policy rejection; Message count exceeded"
             : "Policy rejection; Cumulative message size exceeded";
}

}  // namespace policyd
