// SPDX-License-Identifier: AGPL-3.0-only
// What the daemon would answer for a mail, which need not exist, and why: decided by the daemon's
// own modules on the current database, without counting. Words and figures as values; the
// subcommand prints them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "daemon/base/ip_address.hpp"
#include "daemon/config/config.hpp"
#include "daemon/engine/pause.hpp"
#include "daemon/modules/module.hpp"
#include "plugin/database/change_set.hpp"
#include "plugin/usage/other_parts.hpp"

namespace limits {

struct Mail {
  std::string from;  // lower case; empty: a bounce
  std::string to;    // lower case
  policyd::IpAddress client;
  std::optional<std::string> sasl;  // lower case
  std::string helo;                 // empty: no HELO
  std::uint64_t size_bytes = 0;     // 0: not declared
};

struct ExplainedPolicy {
  std::int64_t id = 0;
  std::int64_t priority = 0;
  std::string name;
  bool matches = false;
  std::string because;  // the member that matches, or why none does
};

// A limit of a policy that matches, before this mail.
struct ExplainedLimit {
  std::string module;  // "Quotas" or "Accounting"
  std::int64_t policy_id = 0;
  std::int64_t row_id = 0;    // of quotas or accounting
  std::int64_t limit_id = 0;  // of quotas_limits; the row itself for Accounting
  std::string track_key;
  std::string unit;  // "messages", "recipients", "distinct recipients" or "KiB"
  double used = 0;   // of all MTAs that share it
  double used_here = 0;
  bool known = false;  // the recipient is one of the distinct ones that are counted already
  double limit = 0;    // while limits are not shared, this host's part
  std::string period;  // "minute", "10 minutes", "day", "message", to follow "per"
  bool of_each_message = false;  // nothing is counted, so there is nothing to clear
  std::string verdict;  // of name_of(); "none" if it only monitors; else the row's invalid word
  bool full = false;    // it has no room for this mail
  // The row that ends the check before this one (LastQuota, LastAccounting), so that it neither
  // counts nor refuses; 0: none.
  std::int64_t ended_by = 0;
  // When this mail would pass, if no other mail came; none if it passes now, or is larger than the
  // limit.
  std::optional<policyd::TimePoint> free_at;
};

struct ExplainedModule {
  std::string name;
  bool enabled = false;
  bool asked = false;        // also false after an earlier module's final answer
  bool final = false;        // later modules are not asked
  policyd::Verdict verdict;  // the answer after this module
  std::vector<std::string> log;
  std::string why;
};

struct Explanation {
  std::vector<ExplainedPolicy> policies;  // in order; the enabled ones
  std::vector<ExplainedLimit> limits;
  std::vector<ExplainedModule> modules;   // all that exist, in order
  policyd::Verdict verdict;               // at RCPT
  std::string module;                     // that gave the answer; empty if none did
  std::string why;                        // one sentence
  bool blocked = false;                   // by a block, which holds in a pause, too
  std::optional<ExplainedLimit> used_up;  // the limit that refuses it
  // At END-OF-MESSAGE, if the mail gets that far.
  std::optional<policyd::Verdict> at_end;
  std::vector<std::string> log_at_end;
  std::vector<std::string> notes;
  // In force: all mail passes, and the rest is what would be without it.
  std::optional<policyd::Pause> pause;
  std::vector<std::string> warnings;  // see usage/headlines.hpp
  bool of_all = false;                // the other MTAs' figures are included
};

// Nothing else may use its connection meanwhile. Without `ask_others`, or if that fails, by this
// host's figures alone. If `alone`, as the daemon decides then. An Error if the rules cannot be
// read.
Result<Explanation> explain(const Tables& tables, const policyd::Config& config, const Mail& mail,
                            policyd::TimePoint now, const AskOthers& ask_others = {},
                            const std::optional<Alone>& alone = {});

// The answer that decides what happens to the mail.
const policyd::Verdict& final_verdict(const Explanation& explanation);

// "action=DEFER Deferring: ...", as sent to Postfix.
std::string action_line(const policyd::Verdict& verdict);

}  // namespace limits
