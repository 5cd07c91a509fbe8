// SPDX-License-Identifier: AGPL-3.0-only
// What the daemon would say of a mail that need not exist, and why: decided by the daemon's own
// modules on the database as it stands, counting nothing. Words and figures as values; how they
// are shown is the subcommand's matter.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "daemon/base/ip_address.hpp"
#include "daemon/config/config.hpp"
#include "daemon/modules/module.hpp"
#include "daemon/sqlite/sqlite.hpp"

namespace limits {

using policyd::Result;

struct Mail {
  std::string from;  // lower case; empty: a bounce
  std::string to;    // lower case
  policyd::IpAddress client;
  std::optional<std::string> sasl;  // lower case
  std::string helo;                 // empty: none was said
  std::uint64_t size_bytes = 0;     // 0: not declared
};

struct ExplainedPolicy {
  std::int64_t id = 0;
  std::int64_t priority = 0;
  std::string name;
  bool matches = false;
  std::string because;  // the member that made it match, or why each of them does not
};

// A limit of a policy that matches, as it stands before this mail.
struct ExplainedLimit {
  std::string module;  // "Quotas" or "Accounting"
  std::int64_t policy_id = 0;
  std::int64_t row_id = 0;    // of quotas or accounting
  std::int64_t limit_id = 0;  // of quotas_limits; the row itself for Accounting
  std::string track_key;
  std::string unit;  // "messages" or "KiB"
  double used = 0;
  double limit = 0;
  std::string period;   // "minute", "10 minutes", "day": what stands behind "per"
  std::string verdict;  // as name_of() has it; "none" where it only watches; else the row's word
  bool full = false;    // this mail is more than it lets through
  // When this mail would be let through, if nothing else came; none where it is now, or where the
  // limit is less than this mail.
  std::optional<policyd::TimePoint> free_at;
};

struct ExplainedModule {
  std::string name;
  bool enabled = false;
  bool asked = false;             // false also where an earlier one had the last word
  bool final = false;             // later modules are not asked
  policyd::Verdict verdict;       // the answer as it stood after this module
  std::vector<std::string> said;  // its lines in the log
  std::string why;                // in words; empty where there is nothing to say
};

struct Explanation {
  std::vector<ExplainedPolicy> policies;  // in order; the enabled ones
  std::vector<ExplainedLimit> limits;
  std::vector<ExplainedModule> modules;   // all that exist, in order
  policyd::Verdict verdict;               // at RCPT
  std::string module;                     // that had the last word; empty where none had
  std::string why;                        // one sentence
  std::optional<ExplainedLimit> used_up;  // the limit that refuses it
  // At END-OF-MESSAGE, where the mail came so far.
  std::optional<policyd::Verdict> at_end;
  std::vector<std::string> said_at_end;
  std::vector<std::string> notes;
};

// `db` serves nothing else meanwhile. An Error where the rules cannot be read.
Result<Explanation> explain(sqlite3* db, const policyd::Config& config, const Mail& mail,
                            policyd::TimePoint now);

// The answer that decides what becomes of the mail.
const policyd::Verdict& final_verdict(const Explanation& explanation);

// "action=DEFER Deferring: ...", as Postfix is told it.
std::string action_line(const policyd::Verdict& verdict);

}  // namespace limits
