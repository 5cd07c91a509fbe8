// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/limit_text/limit_json.hpp"

#include <nlohmann/json.hpp>

#include "plugin/limit_text/limit_line.hpp"

namespace limits {
namespace {

nlohmann::json text_or_null(const std::optional<std::string>& text) {
  return text ? nlohmann::json(*text) : nlohmann::json(nullptr);
}

}  // namespace

nlohmann::json json_of(const StoredLimit& limit) {
  const auto wanted = wanted_of(limit);
  nlohmann::json rates = nlohmann::json::array();
  for (const StoredRate& rate : limit.rates) {
    rates.push_back({{"quota_id", rate.quota_id},
                     {"limit_id", rate.limit_id},
                     {"limit", format_rate(rate.rate)},
                     {"amount", rate.rate.amount},
                     {"unit", name_of(rate.rate.unit)},
                     {"period_s", rate.rate.period.count()},
                     {"message", text_or_null(rate.data)},
                     {"enabled", rate.enabled}});
  }
  nlohmann::json members = nlohmann::json::array();
  for (const StoredMember& member : limit.members) {
    members.push_back({{"source", text_or_null(member.text.source)},
                       {"destination", text_or_null(member.text.destination)},
                       {"enabled", member.enabled}});
  }
  return {{"id", limit.id},
          {"policy_id", limit.policy_id},
          {"name", limit.policy_name},
          {"direction", direction_text(limit)},
          {"who", limit.what.target ? name_of(*limit.what.target) : who_text(limit)},
          {"limit", format_limit(limit.plain_rates())},
          {"per", per_word(limit)},
          {"track", limit.track},
          {"verdict", verdict_word(limit.verdict)},
          {"enabled", limit.enabled()},
          {"state", state_text(limit)},
          {"broken_group", limit.broken_group.empty() ? nlohmann::json(nullptr)
                                                      : nlohmann::json(limit.broken_group)},
          {"except", limit.except},
          {"exempt", limit.exempt},
          {"sentence", describe(limit)},
          {"then", limit.then()},
          {"typed", wanted ? nlohmann::json(line_of(*wanted)) : nlohmann::json(nullptr)},
          {"rates", rates},
          {"members", members}};
}

}  // namespace limits
