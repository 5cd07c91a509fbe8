// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/explain/explain_json.hpp"

#include <nlohmann/json.hpp>

namespace limits {
namespace {

nlohmann::json json_of(const policyd::Verdict& verdict) {
  return {{"verdict", policyd::name_of(verdict.action)},
          {"text", verdict.text},
          {"action", action_line(verdict)}};
}

nlohmann::json json_of(const ExplainedLimit& limit) {
  nlohmann::json free_at = nullptr;
  if (limit.free_at) free_at = policyd::to_seconds(*limit.free_at);
  return {
      {"module", limit.module},
      {"policy_id", limit.policy_id},
      {"row_id", limit.row_id},
      {"limit_id", limit.limit_id},
      {"key", limit.track_key},
      {"unit", limit.unit},
      {"used", limit.used},
      {"used_here", limit.used_here},
      {"limit", limit.limit},
      {"period", limit.period},
      {"verdict", limit.verdict},
      {"full", limit.full},
      {"ended_by", limit.ended_by != 0 ? nlohmann::json(limit.ended_by) : nlohmann::json(nullptr)},
      {"free_at", free_at}};
}

}  // namespace

nlohmann::json json_of(const Mail& mail, const Explanation& explanation) {
  nlohmann::json policies = nlohmann::json::array();
  for (const ExplainedPolicy& policy : explanation.policies) {
    policies.push_back({{"id", policy.id},
                        {"priority", policy.priority},
                        {"name", policy.name},
                        {"matches", policy.matches},
                        {"because", policy.because}});
  }
  nlohmann::json limits = nlohmann::json::array();
  for (const ExplainedLimit& limit : explanation.limits) limits.push_back(json_of(limit));
  nlohmann::json modules = nlohmann::json::array();
  for (const ExplainedModule& module : explanation.modules) {
    modules.push_back({{"name", module.name},
                       {"enabled", module.enabled},
                       {"asked", module.asked},
                       {"final", module.final},
                       {"verdict", policyd::name_of(module.verdict.action)},
                       {"text", module.verdict.text},
                       {"why", module.why},
                       {"log", module.log}});
  }
  nlohmann::json answer = json_of(explanation.verdict);
  answer["module"] = explanation.module;
  answer["why"] = explanation.why;
  nlohmann::json at_end = nullptr;
  if (explanation.at_end) {
    at_end = json_of(*explanation.at_end);
    at_end["log"] = explanation.log_at_end;
  }
  nlohmann::json pause = nullptr;
  if (explanation.pause) {
    pause = {{"until", policyd::to_seconds(explanation.pause->until)},
             {"counted", explanation.pause->counted}};
  }
  nlohmann::json sasl = nullptr;
  if (mail.sasl) sasl = *mail.sasl;
  return {{"mail",
           {{"from", mail.from},
            {"to", mail.to},
            {"client", mail.client.to_string()},
            {"sasl", sasl},
            {"helo", mail.helo},
            {"size", mail.size_bytes}}},
          {"passes", explanation.pause || !final_verdict(explanation).refuses()},
          {"pause", pause},
          {"warnings", explanation.warnings},
          {"answer", answer},
          {"end_of_message", at_end},
          {"policies", policies},
          {"limits", limits},
          {"modules", modules},
          {"all_mtas", explanation.of_all},
          {"notes", explanation.notes}};
}

}  // namespace limits
