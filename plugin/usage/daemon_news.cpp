// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/usage/daemon_news.hpp"

#include <fmt/core.h>

#include <chrono>
#include <system_error>
#include <utility>

#include "plugin/terminal/text.hpp"

namespace limits {

const Refusal* DaemonNews::refusal(std::int64_t limit_id, const std::string& key) const {
  const auto found = refusals.find({limit_id, key});
  return found == refusals.end() ? nullptr : &found->second;
}

std::optional<std::string> DaemonNews::trouble_text() const {
  if (!trouble) return std::nullopt;
  return fmt::format("the daemon has trouble with its database ({}); {} in memory",
                     escaped(trouble->what),
                     counted(trouble->unstored, "counter") +
                         std::string{of_number(trouble->unstored, " is only", " are only")});
}

DaemonNews read_news(const DaemonConfig& daemon) {
  DaemonNews out;
  auto status = policyd::read_status(policyd::status_file_of(daemon.config.pid_file));
  if (!status) {
    out.problem = status.error().message;
    return out;
  }
  std::error_code code;
  if (!*status || !std::filesystem::equivalent((*status)->database, daemon.config.database, code))
    return out;
  out.running = true;
  out.trouble = std::move((*status)->trouble);
  return out;
}

Result<void> read_refusals(const Tables& tables, policyd::TimePoint now, DaemonNews& into) {
  if (!tables.has_table("limits_events")) return {};
  into.refused_since = now - std::chrono::hours{24};
  return tables.each(
      "SELECT RowID, TrackKey, Kind, Verdict, Times, FirstSeen, LastSeen FROM {p}limits_events "
      "WHERE LastSeen > ? AND Module = 'Quotas' AND Kind IN ('refused', 'watched', 'let_through') "
      "ORDER BY LastSeen",
      {into.refused_since->time_since_epoch().count()}, [&](const policyd::sql::Statement& row) {
        const auto time = [&](int column) {
          return policyd::TimePoint{policyd::Millis{row.integer(column)}};
        };
        const auto times = static_cast<std::uint64_t>(row.integer(4));
        const std::pair key{row.integer(0), std::string{row.text(1)}};
        const auto [found, is_new] = into.refusals.try_emplace(key);
        Refusal& refusal = found->second;
        if (is_new) {
          refusal.limit_id = key.first;
          refusal.track_key = key.second;
          refusal.first = time(5);
        }
        if (row.text(2) == "let_through") {
          refusal.let_through += times;
          if (refusal.count == 0) refusal.last = time(6);
          return;
        }
        refusal.count += times;
        refusal.verdict = row.text(3);
        refusal.last = time(6);
      });
}

}  // namespace limits
