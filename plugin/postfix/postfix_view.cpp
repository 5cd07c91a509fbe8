// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/postfix/postfix_view.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <optional>

#include "plugin/postfix/postfix_asks.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {

PostfixView inspect_postfix(const std::filesystem::path& zextras_home, std::string_view search_path,
                            const policyd::Config& config) {
  using Asks = PostfixView::Asks;
  const auto program = find_postconf(zextras_home, search_path);
  if (!program) return {Asks::unknown, "whether Postfix asks: this host has no postconf"};
  const PostfixFacts facts = read_postfix(*program, std::nullopt);
  if (!facts.why_not.empty()) {
    return {Asks::unknown, fmt::format("whether Postfix asks: {}", escaped(facts.why_not))};
  }
  const auto ours = policy_service_names(config);
  const auto at_rcpt = [&](const SmtpdService& each) { return asking(each.at_rcpt, ours).asks; };
  for (const SmtpdService* service : services_for_clients(facts)) {
    if (at_rcpt(*service)) continue;
    const bool somewhere =
        std::any_of(facts.services.begin(), facts.services.end(), [&](const SmtpdService& each) {
          return at_rcpt(each) || asking({each.end_of_data}, ours).asks;
        });
    return {somewhere ? Asks::somewhere : Asks::nowhere,
            fmt::format("Postfix's {} does not ask the daemon", service->name)};
  }
  return {Asks::everywhere, fmt::format("Postfix asks the daemon ({})", ours.front())};
}

}  // namespace limits
