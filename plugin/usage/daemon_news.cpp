// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/usage/daemon_news.hpp"

#include <fmt/core.h>

#include <system_error>

#include "plugin/terminal/text.hpp"

namespace limits {

const policyd::Refusal* DaemonNews::refusal(std::int64_t limit_id, const std::string& key) const {
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
  out.started = (*status)->started;
  out.trouble = std::move((*status)->trouble);
  for (policyd::Refusal& refusal : (*status)->refusals) {
    std::pair key{refusal.limit_id, refusal.track_key};
    out.refusals.emplace(std::move(key), std::move(refusal));
  }
  return out;
}

}  // namespace limits
