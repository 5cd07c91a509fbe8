// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/cluster/cluster_section.hpp"

#include <fmt/core.h>

#include <filesystem>

#include "plugin/database/as_owner.hpp"
#include "plugin/database/own_config.hpp"

namespace limits {

policyd::Result<void> write_cluster_section(
    const DaemonConfig& daemon, const std::function<std::string(std::string_view)>& edit,
    const policyd::Config& wanted) {
  const std::filesystem::path file = policyd::own_config_of(daemon.file);
  const auto owner = AsOwner::of(file);
  if (!owner) return tl::unexpected{owner.error()};
  std::string before;
  auto written = edit_own_config(file, [&](std::string_view text) -> policyd::Result<std::string> {
    before = text;
    return edit(text);
  });
  if (!written) return written;
  const auto now = policyd::load_config(daemon.file);
  if (now && now->config == wanted) return {};
  auto restored = edit_own_config(
      file, [&](std::string_view) -> policyd::Result<std::string> { return before; });
  if (!restored) return restored;
  return policyd::failure(
      now ? fmt::format("section [cluster] of {} or {} also sets other values; correct it "
                        "by hand",
                        daemon.file.string(), file.string())
          : now.error().message);
}

}  // namespace limits
