// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/host/group_sync.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "plugin/database/database_file.hpp"
#include "plugin/limit/recognise.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

constexpr std::size_t kMaxShown = 20;

void print_members(std::string_view sign, const std::vector<std::string>& members, Output& output) {
  for (std::size_t i = 0; i < std::min(members.size(), kMaxShown); ++i) {
    output.line(fmt::format("  {} {}", sign, escaped(members[i])));
  }
  if (members.size() > kMaxShown) {
    output.line(fmt::format("  {} {} more", sign, members.size() - kMaxShown));
  }
}

void print_group(std::string_view name, const carbonio::GroupChange& change, bool dry_run,
                 Output& output) {
  output.line(fmt::format("{}: {}{} added, {} removed, {} unchanged", name,
                          dry_run ? "would be " : "", change.added.size(), change.removed.size(),
                          change.unchanged));
  print_members("+", change.added, output);
  print_members("-", change.removed, output);
}

}  // namespace

carbonio::NetworksOf networks_wanted(const std::filesystem::path& zextras_home) {
  const DaemonConfig daemon = find_daemon_config(std::nullopt, zextras_home);
  return daemon.config.cluster_url.empty() ? carbonio::NetworksOf::this_server
                                           : carbonio::NetworksOf::all_mta;
}

tl::expected<carbonio::WantedMembers, Failure> ask_carbonio(
    const std::filesystem::path& zextras_home, const Arguments& arguments) {
  const auto here = find_this_carbonio(zextras_home, arguments);
  if (!here) return tl::unexpected{here.error()};
  const auto answers = carbonio::ask_all(
      here->prov, carbonio::group_questions(here->server, networks_wanted(zextras_home)));
  if (!answers) return unchanged(answers.error());
  auto wanted = carbonio::wanted_in(*answers);
  if (!wanted) return unchanged(wanted.error());
  return std::move(*wanted);
}

void print_skipped(const carbonio::WantedMembers& wanted, Output& output) {
  if (wanted.skipped.empty()) return;
  const std::size_t others = wanted.skipped.size() - 1;
  output.note(fmt::format("skipped '{}'{}: neither a domain nor a network{}",
                          shown(wanted.skipped.front()),
                          others == 0 ? std::string{} : fmt::format(" and {} more", others),
                          wanted.networks ? "" : "; the networks in internal_ips were kept"));
}

void print_change(const carbonio::GroupsChange& change, bool dry_run, Output& output) {
  print_group("internal_domains", change.domains, dry_run, output);
  print_group("internal_ips", change.networks, dry_run, output);
}

}  // namespace limits
