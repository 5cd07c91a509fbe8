// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/explain/explain.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <exception>
#include <memory>
#include <utility>

#include "daemon/base/ip_address.hpp"
#include "daemon/modules/make_modules.hpp"
#include "daemon/modules/text/quota_text.hpp"
#include "daemon/protocol/policy_protocol.hpp"
#include "daemon/rules/match/matcher.hpp"
#include "daemon/session/session.hpp"
#include "plugin/explain/captured_log.hpp"
#include "plugin/explain/explain_rows.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/usage/usage_report.hpp"

namespace limits {
namespace {

using policyd::Next;
using policyd::Verdict;

constexpr std::string_view kInstance = "explain";
constexpr std::array kModules = {"AccessControl", "CheckHelo", "CheckSPF",
                                 "Greylisting",   "Quotas",    "Accounting"};

// What reasons of log lines mean, where their word alone says too little.
struct Reason {
  std::string_view word;
  std::string_view meaning;
};
constexpr std::array kReasons = {
    Reason{"greylisted",
           "greylisted: this sender, recipient and network are new or have not waited "
           "long enough; a mail server tries again by itself"},
    Reason{"authenticated", "this sender, recipient and network have waited long enough"},
    Reason{"training", "greylisting only learns (training mode)"},
    Reason{"whitelisted", "the client is on the whitelist"},
    Reason{"auto-whitelisted", "the client's network has earned its place on the whitelist"},
    Reason{"auto-blacklisted", "the client's network has earned its place on the blacklist"},
    Reason{"ip_not_allowed", "the HELO name is an IP address"},
    Reason{"blacklisted", "the client has used a HELO name that is on the blacklist"},
    Reason{"hrp_blacklisted", "the client uses too many HELO names"},
    Reason{"verdict", "a row of access_control says so"},
};

std::string in_words(std::string_view line) {
  constexpr std::string_view kMark = "reason=";
  const std::size_t at = line.find(kMark);
  if (at == std::string_view::npos) return escaped(line);
  std::string_view word = line.substr(at + kMark.size());
  word = word.substr(0, word.find(','));
  for (const Reason& reason : kReasons) {
    if (reason.word == word) return std::string{reason.meaning};
  }
  return escaped(word);
}

policyd::Request request_of(const Mail& mail) {
  policyd::Request request;
  request.state = policyd::ProtocolState::rcpt;
  request.instance = kInstance;
  request.sender = mail.from;
  request.recipient = mail.to;
  if (mail.sasl) request.sasl_username = *mail.sasl;
  request.client_address = mail.client;
  request.peer_address = policyd::IpAddress::parse("127.0.0.1");
  request.size_bytes = mail.size_bytes;
  request.helo_name = mail.helo;
  request.client_name = request.reverse_client_name = "unknown";
  request.protocol_name = "ESMTP";
  return request;
}

// The limit that gives the answer: of the first quota that refuses, the last one that is full.
const ExplainedLimit* deciding_limit(const std::vector<ExplainedLimit>& limits,
                                     std::string_view module) {
  const ExplainedLimit* found = nullptr;
  for (const ExplainedLimit& limit : limits) {
    if (limit.module != module || !limit.full || limit.verdict == "none") continue;
    if (found != nullptr && found->row_id != limit.row_id) break;
    found = &limit;
  }
  return found;
}

std::string say_limit(const ExplainedLimit& limit, const std::vector<ExplainedPolicy>& policies,
                      policyd::TimePoint now) {
  std::string policy = fmt::format("{}", limit.policy_id);
  for (const ExplainedPolicy& each : policies) {
    if (each.id == limit.policy_id) policy += fmt::format(" ({})", escaped(each.name));
  }
  std::string text = fmt::format("{} {} of policy {} is used up: {} of {} {} per {} for {}",
                                 limit.module == "Quotas" ? "quota" : "accounting", limit.row_id,
                                 policy, std::floor(limit.used), limit.limit, limit.unit,
                                 limit.period, say_key(limit.track_key));
  if (limit.free_at) text += fmt::format("; free {}", say_wait(limit.free_at, now));
  return text;
}

class Explainer {
 public:
  Explainer(sqlite3* db, const policyd::Config& config, const Mail& mail, CapturedLog& log,
            policyd::ReadingTransaction& store)
      : db_(db),
        config_(config),
        request_(request_of(mail)),
        log_(log),
        store_(store),
        modules_(policyd::make_modules(config, nullptr)) {}

  Result<Explanation> explain() {
    const policyd::Rules& rules = *store_.rules();
    policyd::Matcher matcher;
    const auto matched = matcher.match(*rules.index, request_);
    auto policies = explain_policies(db_, config_.table_prefix, rules, request_, matched);
    if (!policies) return tl::unexpected{policies.error()};
    out_.policies = std::move(*policies);
    out_.limits = explain_limits(store_, config_, request_, matched);
    ask_at_rcpt(matched);
    conclude();
    if (!out_.verdict.refuses()) ask_at_end(matched);
    return std::move(out_);
  }

 private:
  void ask_at_rcpt(std::span<const std::uint32_t> matched) {
    policyd::RcptQuestion question{
        {request_, *store_.rules(), store_, log_.log(), false, {}}, matched, {}};
    bool ended = false;
    for (const char* name : kModules) {
      ExplainedModule& explained = out_.modules.emplace_back();
      explained.name = name;
      const auto module = std::find_if(modules_.begin(), modules_.end(),
                                       [&](const auto& each) { return each->name() == name; });
      explained.enabled = module != modules_.end();
      if (!explained.enabled || ended) continue;
      ask(**module, question, explained);
      ended = explained.final;
    }
    out_.verdict = question.verdict;
    reached_quotas_ = question.reached_quotas;
  }

  void ask(policyd::Module& module, policyd::RcptQuestion& question, ExplainedModule& explained) {
    explained.asked = true;
    const policyd::LookupWishes wishes = module.wishes(question);
    const Verdict before = question.verdict;
    Next next = Next::stop;
    try {
      next = module.decide_rcpt(question);
    } catch (const std::exception& error) {  // as the engine does
      log_.log().error(fmt::format("module={}: {}", module.name(), error.what()));
      question.verdict = {policyd::Action::defer, {}};
    }
    explained.final = next == Next::stop;
    explained.verdict = question.verdict;
    explained.said = log_.take();
    const bool answered = explained.final || question.verdict.action != before.action ||
                          question.verdict.text != before.text;
    if (answered) out_.module = explained.name;
    explained.why = why(explained, answered);
    if (wishes.any()) {
      out_.notes.push_back(fmt::format(
          "{} would ask the DNS before it answers; here it is taken as if the DNS had nothing "
          "against this mail.",
          explained.name));
    }
  }

  std::string why(const ExplainedModule& module, bool answered) {
    if (answered) {
      if (const ExplainedLimit* limit = deciding_limit(out_.limits, module.name)) {
        out_.used_up = *limit;
        return say_limit(*limit, out_.policies, store_.now());
      }
    }
    // Lines about counting say nothing about the answer.
    const auto line = std::find_if(
        module.said.rbegin(), module.said.rend(),
        [](const std::string& said) { return said.find("mode=") == std::string::npos; });
    if (line != module.said.rend()) return in_words(*line);
    if (answered) return escaped(module.verdict.text);
    if (module.name == "Quotas" || module.name == "Accounting") {
      const bool any = std::any_of(out_.limits.begin(), out_.limits.end(),
                                   [&](const auto& limit) { return limit.module == module.name; });
      return any ? "every limit that concerns it has room" : "no limit concerns it";
    }
    return "it has nothing against this mail";
  }

  void conclude() {
    if (modules_.empty()) {
      out_.why = "no module is switched on, so nothing is limited";
      return;
    }
    if (out_.module.empty()) {
      const bool any = std::any_of(out_.policies.begin(), out_.policies.end(),
                                   [](const ExplainedPolicy& policy) { return policy.matches; });
      out_.why = !any                  ? "no policy matches this mail, so nothing limits it"
                 : out_.limits.empty() ? "the policies that match have no limit for it"
                                       : "every limit that concerns it has room";
      return;
    }
    for (const ExplainedModule& module : out_.modules) {
      if (module.name == out_.module) out_.why = module.why;
    }
  }

  // The message as Postfix asks about it once it has all of it.
  void ask_at_end(std::span<const std::uint32_t> matched) {
    policyd::Session session;
    policyd::Request said = request_;
    said.instance = kInstance;
    session.begin(said);
    session.last_rcpt = store_.now();
    std::vector<std::int64_t> policies;
    for (const std::uint32_t place : matched) {
      policies.push_back(store_.rules()->policies[place].id);
    }
    session.add_recipient(request_.recipient, policies, out_.verdict, reached_quotas_);

    policyd::Request request = request_;
    request.state = policyd::ProtocolState::end_of_message;
    policyd::MessageQuestion question{{request, *store_.rules(), store_, log_.log(), false, {}},
                                      session};
    for (const auto& module : modules_) {
      if (module->decide_message(question) == Next::stop) break;
    }
    out_.at_end = std::move(question.verdict);
    out_.said_at_end = log_.take();
  }

  sqlite3* db_;
  const policyd::Config& config_;
  policyd::Request request_;
  bool reached_quotas_ = false;
  CapturedLog& log_;
  policyd::ReadingTransaction& store_;
  std::vector<std::unique_ptr<policyd::Module>> modules_;
  Explanation out_;
};

}  // namespace

Result<Explanation> explain(sqlite3* db, const policyd::Config& config, const Mail& mail,
                            policyd::TimePoint now) {
  auto log = CapturedLog::make();
  if (!log) return tl::unexpected{log.error()};
  auto store = policyd::ReadingTransaction::begin(db, config.table_prefix, log->log(), now,
                                                  request_of(mail));
  if (!store) return tl::unexpected{store.error()};
  return Explainer{db, config, mail, *log, **store}.explain();
}

const Verdict& final_verdict(const Explanation& explanation) {
  const bool at_end = explanation.at_end && explanation.at_end->action != policyd::Action::dunno;
  return at_end ? *explanation.at_end : explanation.verdict;
}

std::string action_line(const Verdict& verdict) {
  std::string line;
  policyd::append_action(line, verdict);
  while (!line.empty() && line.back() == '\n') line.pop_back();
  return line;
}

}  // namespace limits
