// SPDX-License-Identifier: AGPL-3.0-only
// The checks of `doctor`, by subject, and their helpers. For examine.cpp; `enable` also runs
// check_daemon.
#pragma once

#include <memory>
#include <string>

#include "daemon/rules/rules.hpp"
#include "plugin/database/change_set.hpp"
#include "plugin/doctor/examine.hpp"
#include "plugin/postfix/postfix_asks.hpp"
#include "plugin/rows/read_limits.hpp"

namespace limits {

// The checks that others depend on.
namespace check {
inline constexpr const char* kDaemonRunning = "daemon.running";
inline constexpr const char* kDaemonRules = "daemon.rules";
inline constexpr const char* kDaemonAnswers = "daemon.answers";
inline constexpr const char* kDaemonModules = "daemon.modules";
inline constexpr const char* kPostfixAsks = "postfix.asks";
inline constexpr const char* kPostfixPermits = "postfix.permits";
inline constexpr const char* kPostfixEndOfData = "postfix.end_of_data";
inline constexpr const char* kPostfixSenders = "postfix.senders";
}  // namespace check

inline constexpr const char* kStart = "carbonio-limits service start";
// Also starts it, and replaces another program that runs in its place.
inline constexpr const char* kRestart = "carbonio-limits service restart";

// `sqlite3 FILE "..."`, as typed in a shell.
std::string sqlite_command(const DoctorQuestion& question, const std::string& sql);
// Whether this is a Carbonio host, where `enable` fixes most things.
bool is_carbonio(const DoctorQuestion& question);

// Files, opening, writing, schema, integrity. A closed handle if it cannot be used at all.
policyd::sql::Handle check_database(const DoctorQuestion& question, Findings& findings);

struct RulesChecked {
  std::shared_ptr<const policyd::Rules> rules;  // null if they cannot be read
  bool by_sender = false;   // some limit counts by the envelope sender of authenticated mail
  bool by_account = false;  // and one refuses an account whatever sender it names
  bool by_size = false;     // some limit counts sizes
};
// Rows: problems that the daemon finds, orphans, names, limits that can never apply.
RulesChecked check_rules(const DoctorQuestion& question, const Tables& tables, Findings& findings);
// Limits that outsiders can use up, and limits that apply to all bounces.
void check_senders(const DoctorQuestion& question, const Tables& tables, const AllLimits& all,
                   RulesChecked& checked, Findings& findings);
void check_names(const DoctorQuestion& question, const Tables& tables, Findings& findings);

// Configuration, process, answer, the rules in force, log and pid file.
void check_daemon(const DoctorQuestion& question, sqlite3* db, Findings& findings);

void check_postfix(const DoctorQuestion& question, const PostfixFacts& facts,
                   const RulesChecked& rules, Findings& findings);

}  // namespace limits
