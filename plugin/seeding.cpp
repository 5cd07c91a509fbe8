// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/seeding.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <optional>

#include "plugin/text.hpp"

namespace limits {
namespace {

constexpr std::size_t kMostShown = 20;

void say_members(std::string_view sign, const std::vector<std::string>& members, Output& output) {
  for (std::size_t i = 0; i < std::min(members.size(), kMostShown); ++i) {
    output.line(fmt::format("  {} {}", sign, escaped(members[i])));
  }
  if (members.size() > kMostShown) {
    output.line(fmt::format("  {} {} more", sign, members.size() - kMostShown));
  }
}

void say_group(std::string_view name, const carbonio::GroupChange& change, bool dry_run,
               Output& output) {
  output.line(fmt::format("{}: {}{} added, {} removed, {} unchanged", name,
                          dry_run ? "would be " : "", change.added.size(), change.removed.size(),
                          change.unchanged));
  say_members("+", change.added, output);
  say_members("-", change.removed, output);
}

std::optional<std::chrono::seconds> parse_timeout(const std::string& text) {
  constexpr int kLongest = 3600;
  int seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  if (seconds < 1 || seconds > kLongest) return std::nullopt;
  return std::chrono::seconds{seconds};
}

}  // namespace

tl::expected<carbonio::Wanted, Failure> ask_carbonio(const std::filesystem::path& zextras_home,
                                                     const Arguments& arguments) {
  const auto cannot = [](const policyd::Error& error) {
    return failed(fmt::format("{}; nothing was changed", error.message));
  };
  std::chrono::seconds deadline{60};
  if (const auto given = arguments.value(std::string{kProvTimeoutOption.name})) {
    const auto seconds = parse_timeout(*given);
    if (!seconds) {
      return wrong_use(fmt::format("'{}' is no timeout: a number from 1 to 3600", shown(*given)));
    }
    deadline = *seconds;
  }
  const auto config = carbonio::LocalConfig::load(zextras_home);
  if (!config) return cannot(config.error());
  const auto server = config->need("zimbra_server_hostname");
  if (!server) return cannot(server.error());
  auto settings = carbonio::prov_settings(zextras_home, *config);
  if (!settings) return cannot(settings.error());
  settings->deadline = deadline;
  auto wanted = carbonio::read_wanted(carbonio::Prov{std::move(*settings)}, *server);
  if (!wanted) return cannot(wanted.error());
  return std::move(*wanted);
}

void say_skipped(const carbonio::Wanted& wanted, Output& output) {
  if (wanted.skipped.empty()) return;
  const std::size_t others = wanted.skipped.size() - 1;
  output.note(fmt::format("skipped '{}'{}: neither a domain nor a network",
                          shown(wanted.skipped.front()),
                          others == 0 ? std::string{} : fmt::format(" and {} more", others)));
}

void say_change(const carbonio::SeedChange& change, bool dry_run, Output& output) {
  say_group("internal_domains", change.domains, dry_run, output);
  say_group("internal_ips", change.networks, dry_run, output);
}

}  // namespace limits
