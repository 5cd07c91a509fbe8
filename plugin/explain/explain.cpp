// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/explain/explain.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <set>
#include <utility>

#include "daemon/cluster/count/counter_name.hpp"
#include "daemon/cluster/count/without_engine.hpp"
#include "daemon/config/module_table.hpp"
#include "daemon/engine/ask_module.hpp"
#include "daemon/modules/access_control.hpp"
#include "daemon/modules/make_modules.hpp"
#include "daemon/modules/message/recipient_hash.hpp"
#include "daemon/modules/text/quota_text.hpp"
#include "daemon/protocol/policy_protocol.hpp"
#include "daemon/rules/match/matcher.hpp"
#include "daemon/session/session.hpp"
#include "plugin/block/block_text.hpp"
#include "plugin/block/blocks.hpp"
#include "plugin/explain/explain_rows.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/usage/usage_report.hpp"

namespace limits {
namespace {

using policyd::Next;
using policyd::Verdict;

constexpr std::string_view kInstance = "explain";
constexpr std::string_view kAccessControl = "AccessControl";

// A reason in words; empty if there is none.
std::string in_words(const policyd::Reason& reason) {
  using Kind = policyd::Reason::Kind;
  switch (reason.kind) {
    case Kind::none:
      return {};
    case Kind::verdict:
      return fmt::format("row {} of access_control gives this answer", reason.row_id);
    case Kind::no_verdict:
      return "its row has no verdict";
    case Kind::invalid_row:
    case Kind::invalid_verdict:
      return escaped(reason.problem);
    case Kind::no_result:
      return "skipped: there is no answer from the DNS";
    case Kind::greylisted:
      return "greylisted: this sender, recipient and network are new or have not waited long "
             "enough; a mail server tries again by itself";
    case Kind::authenticated:
      return "this sender, recipient and network have waited long enough";
    case Kind::training:
      return "greylisting only learns (training mode)";
    case Kind::whitelisted:
      return "the client is on the whitelist";
    case Kind::auto_whitelisted:
      return "the client's network has earned its place on the whitelist";
    case Kind::auto_blacklisted:
      return "the client's network has earned its place on the blacklist";
    case Kind::ip_not_allowed:
      return "the HELO name is an IP address";
    case Kind::blacklisted:
      return "the client has used a HELO name that is on the blacklist";
    case Kind::hrp_blacklisted:
      return "the client uses too many HELO names";
    case Kind::not_shared:
      return "it would be counted, which is deferred while limits are not shared ([cluster] "
             "without=defer)";
    default:
      return std::string{word_of(reason.kind)};
  }
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

// The limit by which a module refuses.
const ExplainedLimit* exceeded_limit(const std::vector<ExplainedLimit>& limits,
                                     const policyd::Reason& reason) {
  const bool quota = reason.kind == policyd::Reason::Kind::quota_match;
  if (!quota && reason.kind != policyd::Reason::Kind::accounting_match) return nullptr;
  const auto found = std::find_if(limits.begin(), limits.end(), [&](const ExplainedLimit& limit) {
    return limit.module == (quota ? "Quotas" : "Accounting") && limit.row_id == reason.row_id &&
           limit.full && limit.ended_by == 0 && (!quota || limit.limit_id == reason.limit_id);
  });
  return found == limits.end() ? nullptr : &*found;
}

std::string describe_limit(const ExplainedLimit& limit,
                           const std::vector<ExplainedPolicy>& policies, policyd::TimePoint now) {
  std::string policy = fmt::format("{}", limit.policy_id);
  for (const ExplainedPolicy& each : policies) {
    if (each.id == limit.policy_id) policy += fmt::format(" ({})", escaped(each.name));
  }
  std::string text =
      fmt::format("{} {} of policy {}", limit.module == "Quotas" ? "quota" : "accounting",
                  limit.row_id, policy);
  if (limit.of_each_message) {
    text += fmt::format(" allows at most {} {} per message", limit.limit, limit.unit);
    return limit.used > 0 ? fmt::format("{}, and this one has {}", text, limit.used) : text;
  }
  text += fmt::format(" is used up: {} of {} {} per {} for {}", std::floor(limit.used), limit.limit,
                      limit.unit, limit.period, key_text(limit.track_key));
  if (limit.free_at) text += fmt::format("; free {}", wait_text(limit.free_at, now));
  return text;
}

// The other MTAs' where they cannot be asked: a module wants to all the same.
class UnreachableCounters : public policyd::SharedCounters {
 public:
  const policyd::Window* known_full(std::int64_t, std::string_view) override { return nullptr; }
  void ask(std::vector<policyd::Wanted>, Done) override {}
  void flush() override {}
  void settle(std::int64_t, std::string_view, const policyd::Window&, std::uint64_t,
              bool) override {}
  void changed(std::int64_t, std::string_view, const policyd::Window&, policyd::Millis) override {}
  [[nodiscard]] policyd::TimePoint now() const override { return {}; }
};

class Explainer {
 public:
  // `log` appends to `log_lines`.
  Explainer(const Tables& tables, const policyd::Config& config, const Mail& mail,
            const AskOthers& ask_others, const std::optional<Alone>& alone, policyd::Maillog& log,
            std::vector<std::string>& log_lines, policyd::ReadingTransaction& store)
      : tables_(tables),
        config_(config),
        ask_others_(ask_others),
        alone_(alone),
        request_(request_of(mail)),
        log_(log),
        log_lines_(log_lines),
        store_(store),
        modules_(policyd::make_modules(config)) {}

  Result<Explanation> explain() {
    const policyd::Rules& rules = *store_.rules();
    policyd::Matcher matcher;
    extensions_ = {config_.recipient_delimiter, rules.own_domains};
    const auto matched = matcher.match(*rules.index, request_, extensions_);
    auto policies = explain_policies(tables_, rules, request_, matched, extensions_);
    if (!policies) return tl::unexpected{policies.error()};
    out_.policies = std::move(*policies);
    out_.limits = explain_limits(store_, config_, request_, matched, extensions_, alone_);
    if (add_others()) {
      out_.of_all = true;
      out_.limits = explain_limits(store_, config_, request_, matched, extensions_, alone_);
    }
    note_ends("Quotas", "quota", "LastQuota");
    note_ends("Accounting", "accounting", "LastAccounting");
    ask_at_rcpt(matched);
    conclude();
    if (!out_.verdict.refuses()) ask_at_end(matched);
    return std::move(out_);
  }

 private:
  // From here on the counters hold what all MTAs have counted. False if the others' parts are not
  // known.
  bool add_others() {
    if (!ask_others_ || config_.quotas_algorithm == policyd::Algorithm::decay) return false;
    for (const ExplainedLimit& limit : out_.limits) {
      if (limit.module != "Quotas") continue;
      const auto parts = ask_others_({limit.limit_id}, {{limit.track_key}});
      if (!parts) return false;
      policyd::Counter& counter = store_.counter(limit.limit_id, limit.track_key);
      const auto part = parts->find(policyd::counter_name(limit.limit_id, limit.track_key));
      // Two limits of one mail may have one counter.
      if (part == parts->end() || !added_.insert(part->first).second) continue;
      // The recipients of a counter are those of its last units. Only this mail's is of interest:
      // it becomes the last one, which it stays among those of others.
      if (limit.known) {
        counter.recipients.renew(counter.window,
                                 policyd::recipient_hash(request_.recipient, extensions_),
                                 store_.now(), counter.period);
      } else {
        counter.recipients.clear();
      }
      counter.window.merge(part->second);
      counter.value = static_cast<double>(counter.window.use());
    }
    return true;
  }

  // Which rows the daemon does not ask about this mail, though their policies match it.
  void note_ends(std::string_view module, std::string_view table, std::string_view column) {
    std::vector<std::int64_t> rows;
    std::int64_t by = 0;
    for (const ExplainedLimit& limit : out_.limits) {
      if (limit.module != module || limit.ended_by == 0) continue;
      by = limit.ended_by;
      if (rows.empty() || rows.back() != limit.row_id) rows.push_back(limit.row_id);
    }
    if (rows.empty()) return;
    const bool monitors =
        std::any_of(out_.limits.begin(), out_.limits.end(), [&](const auto& limit) {
          return limit.module == module && limit.row_id == by && limit.full &&
                 limit.verdict == "none";
        });
    const bool decays = config_.quotas_algorithm == policyd::Algorithm::decay;
    out_.notes.push_back(
        fmt::format("{} {} not asked about this mail: {} {} ends the check ({}).",
                    with_ids(table, rows), of_number(rows.size(), "is", "are"), table, by,
                    monitors && decays ? "used up, with algorithm=decay" : column));
  }

  void ask_at_rcpt(std::span<const std::uint32_t> matched) {
    policyd::RcptQuestion question{
        {request_, *store_.rules(), store_, log_, false, {}}, matched, {}};
    question.extensions = extensions_;
    if (alone_) question.shared = &unreachable_;
    bool ended = false;
    const auto* block = policyd::block_in_force(*store_.rules(), matched, store_.now());
    for (const policyd::ModuleInfo& info : policyd::kModules) {
      const std::string_view name = info.name;
      ExplainedModule& explained = out_.modules.emplace_back();
      explained.name = name;
      if (block != nullptr && name == kAccessControl) {
        ended = true;
        refuse(*block, question, explained);
        continue;
      }
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

  // A block goes before all modules, also before AccessControl if that is on.
  void refuse(const policyd::AccessControlRow& row, policyd::RcptQuestion& question,
              ExplainedModule& explained) {
    policyd::refuse_blocked(question, row);
    explained.enabled = explained.asked = explained.final = true;
    explained.verdict = question.verdict;
    explained.log = std::exchange(log_lines_, {});
    explained.why = fmt::format("row {} of access_control blocks it", row.id);
    const auto blocks = read_blocks(tables_);
    for (const StoredBlock& each : blocks.value_or(std::vector<StoredBlock>{})) {
      if (each.row_id != row.id) continue;
      explained.why = fmt::format("{} is blocked {}; '{}' ends it", escaped(each.block.who),
                                  until_text(each.block), unblock_command(each.block));
    }
    out_.module = explained.name;
    out_.blocked = true;
  }

  // A question that would wait for the other MTAs gets the answer that the daemon gives itself.
  template <typename Asked>
  Next decide(policyd::Module& module, Asked& question) {
    const Next next = policyd::ask_module(module, question);
    if (next != Next::wait || !alone_) return next;
    granted_ = policyd::granted_without_engine(alone_->without, alone_->hosts,
                                               std::exchange(question.wanted, {}));
    question.granted = &granted_;
    return policyd::ask_module(module, question);
  }

  void ask(policyd::Module& module, policyd::RcptQuestion& question, ExplainedModule& explained) {
    explained.asked = true;
    const bool needs_dns = module.needed_lookups(question).any();
    const Verdict before = question.verdict;
    question.reason = {};
    explained.final = decide(module, question) == Next::stop;
    explained.verdict = question.verdict;
    explained.log = std::exchange(log_lines_, {});
    const bool answered = explained.final || question.verdict.action != before.action ||
                          question.verdict.text != before.text;
    if (answered) out_.module = explained.name;
    explained.why = why(explained, question.reason, answered);
    if (needs_dns) {
      out_.notes.push_back(fmt::format(
          "{} would query the DNS first; explain does not, and assumes that the DNS has nothing "
          "against this mail.",
          explained.name));
    }
  }

  std::string why(const ExplainedModule& module, const policyd::Reason& reason, bool answered) {
    if (const ExplainedLimit* limit = exceeded_limit(out_.limits, reason)) {
      out_.used_up = *limit;
      return describe_limit(*limit, out_.policies, store_.now());
    }
    const bool limits = module.name == "Quotas" || module.name == "Accounting";
    if (limits && reason.kind == policyd::Reason::Kind::no_verdict) {
      return "a limit is used up, but it only monitors";
    }
    if (std::string words = in_words(reason); !words.empty()) return words;
    if (answered) return escaped(module.verdict.text);
    if (!limits) return "it has nothing against this mail";
    const bool any = std::any_of(out_.limits.begin(), out_.limits.end(),
                                 [&](const auto& limit) { return limit.module == module.name; });
    return any ? "every limit that applies has room" : "no limit applies";
  }

  void conclude() {
    if (modules_.empty() && !out_.blocked) {
      out_.why = "no module is enabled, so nothing is limited";
      return;
    }
    if (out_.module.empty()) {
      const bool any = std::any_of(out_.policies.begin(), out_.policies.end(),
                                   [](const ExplainedPolicy& policy) { return policy.matches; });
      out_.why = !any                  ? "no policy matches this mail, so nothing limits it"
                 : out_.limits.empty() ? "the policies that match have no limit for it"
                                       : "every limit that applies has room";
      return;
    }
    for (const ExplainedModule& module : out_.modules) {
      if (module.name == out_.module) out_.why = module.why;
    }
  }

  // END-OF-MESSAGE, once Postfix has received all of it.
  void ask_at_end(std::span<const std::uint32_t> matched) {
    policyd::Session session;
    session.begin(request_);
    session.last_rcpt = store_.now();
    std::vector<std::int64_t> policies;
    for (const std::uint32_t index : matched) {
      policies.push_back(store_.rules()->policies[index].id);
    }
    session.add_recipient(request_.recipient, policies, {out_.verdict.action, nullptr},
                          reached_quotas_);

    policyd::Request request = request_;
    request.state = policyd::ProtocolState::end_of_message;
    policyd::MessageQuestion question{{request, *store_.rules(), store_, log_, false, {}}, session};
    question.extensions = extensions_;
    if (alone_) question.shared = &unreachable_;
    for (const auto& module : modules_) {
      if (decide(*module, question) == Next::stop) break;
    }
    out_.at_end = std::move(question.verdict);
    out_.log_at_end = std::exchange(log_lines_, {});
  }

  const Tables& tables_;
  const policyd::Config& config_;
  const AskOthers& ask_others_;
  const std::optional<Alone>& alone_;
  UnreachableCounters unreachable_;
  policyd::Granted granted_;
  std::set<std::string> added_;  // counters with the others' parts
  policyd::Request request_;
  policyd::Extensions extensions_;
  bool reached_quotas_ = false;
  policyd::Maillog& log_;
  std::vector<std::string>& log_lines_;
  policyd::ReadingTransaction& store_;
  std::vector<std::unique_ptr<policyd::Module>> modules_;
  Explanation out_;
};

}  // namespace

Result<Explanation> explain(const Tables& tables, const policyd::Config& config, const Mail& mail,
                            policyd::TimePoint now, const AskOthers& ask_others,
                            const std::optional<Alone>& alone) {
  std::vector<std::string> log_lines;
  policyd::Maillog log{log_lines};
  auto store =
      policyd::ReadingTransaction::begin(tables.db, tables.prefix, log, now, request_of(mail));
  if (!store) return tl::unexpected{store.error()};
  return Explainer{tables, config, mail, ask_others, alone, log, log_lines, **store}.explain();
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
