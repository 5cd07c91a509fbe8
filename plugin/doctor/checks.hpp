// SPDX-License-Identifier: AGPL-3.0-only
// The checks of `doctor`, by subject, and their helpers. For examine.cpp; `enable` also runs
// check_daemon.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "daemon/rules/rules.hpp"
#include "plugin/database/change_set.hpp"
#include "plugin/doctor/examine.hpp"
#include "plugin/doctor/problems.hpp"
#include "plugin/postfix/postfix_asks.hpp"
#include "plugin/rows/read_limits.hpp"

namespace limits {

// The checks that others depend on.
namespace check {
inline constexpr const char* kDaemonRunning = "daemon.running";
inline constexpr const char* kDaemonRules = "daemon.rules";
inline constexpr const char* kDaemonAnswers = "daemon.answers";
inline constexpr const char* kDaemonTrouble = "daemon.trouble";
inline constexpr const char* kDaemonModules = "daemon.modules";
inline constexpr const char* kPostfixAsks = "postfix.asks";
inline constexpr const char* kPostfixPermits = "postfix.permits";
inline constexpr const char* kPostfixEndOfData = "postfix.end_of_data";
inline constexpr const char* kPostfixDelimiter = "postfix.delimiter";
inline constexpr const char* kPostfixOrigin = "postfix.origin";
inline constexpr const char* kPostfixSenders = "postfix.senders";
}  // namespace check

inline constexpr const char* kStart = "carbonio-limits service start";
// Also starts it, and replaces another program that runs in its place.
inline constexpr const char* kRestart = "carbonio-limits service restart";

// `sqlite3 FILE "..."`, as typed in a shell; several statements in one transaction.
std::string sqlite_command(const DoctorQuestion& question,
                           const std::vector<std::string>& statements);
// A text as SQL has it.
std::string sql_literal(std::string_view text);
// Whether this is a Carbonio host, where `enable` fixes most things.
bool is_carbonio(const DoctorQuestion& question);

// Whether the rows are kept by another database system than SQLite.
bool check_driver(const DoctorQuestion& question, Findings& findings);
// Files, opening, writing, schema, integrity. A closed handle if it cannot be used at all.
policyd::sql::Handle check_database(const DoctorQuestion& question, Findings& findings);

// An enabled row of policy_members.
struct PolicyMember {
  std::int64_t id = 0;
  std::optional<std::string> source, destination;
};

// The rules as the checks need them, read once.
struct RuleRows {
  const DoctorQuestion& question;
  const Tables& tables;
  const policyd::Rules& rules;
  const AllLimits& all;
  std::unordered_map<std::int64_t, std::vector<PolicyMember>> members;  // by policy
  std::vector<PolicyMember> none;
  std::unordered_map<std::int64_t, const StoredLimit*> limits;  // by each of their quotas

  RuleRows(const DoctorQuestion& asked, const Tables& in, const policyd::Rules& read,
           const AllLimits& listed);
  // As `list` shows it: the ID of the limit that the quota belongs to.
  [[nodiscard]] std::int64_t listed_id(std::int64_t quota) const;
  [[nodiscard]] const std::vector<PolicyMember>& members_of(std::int64_t policy) const;
  [[nodiscard]] Fix sql(const std::vector<std::string>& statements) const {
    return command(sqlite_command(question, statements));
  }
  // Whether one of the rows of the table `of` that belong to `id` has neither 0 nor 1 in Disabled,
  // which check_columns reports: what that is taken for is no finding of its own.
  [[nodiscard]] bool has_odd_switch(std::string_view of, std::string_view column,
                                    std::int64_t id) const;
  // "quotas" with the prefix.
  [[nodiscard]] std::string table(std::string_view name) const {
    return tables.prefix + std::string{name};
  }
};

// Of the schema: references to tables that are gone, and missing primary keys.
void check_references(const DoctorQuestion& question, const Tables& tables, Findings& findings);

struct RulesChecked {
  std::shared_ptr<const policyd::Rules> rules;  // null if they cannot be read
  bool by_sender = false;   // some limit counts by the envelope sender of authenticated mail
  bool by_account = false;  // and one refuses an account whatever sender it names
  bool by_size = false;     // some limit counts sizes
  // What adds a limit that counts mail with a login and the empty sender, if none does, but one by
  // sender is for everyone.
  std::optional<Fix> for_empty_sender;
};
RulesChecked check_rules(const DoctorQuestion& question, const Tables& tables, Findings& findings);
// Rows that the daemon does not understand, first the one that has all mail deferred.
void check_problems(const RuleRows& rows, Findings& findings);
// Of them the lists: all problems of one list in one finding, since one statement replaces it.
void check_lists(const RuleRows& rows, Findings& findings);
// Rows that refer to nothing, and policies without members or limits.
void check_orphans(const RuleRows& rows, Findings& findings);
void check_empty(const RuleRows& rows, Findings& findings);
// Limits that never apply: what comes before them decides.
void check_order(const RuleRows& rows, Findings& findings);
// Limits that outsiders can use up, and limits that apply to all bounces.
void check_senders(const RuleRows& rows, RulesChecked& checked, Findings& findings);
// Excludes mail from outside from these quotas of a policy; `outside` are the members that match
// it.
Fix fix_for_outside(const RuleRows& rows, const policyd::Policy& policy,
                    const std::vector<std::int64_t>& quotas,
                    const std::vector<PolicyMember>& outside);
// The groups of this server's own domains and networks, and others that limits use.
void check_groups(const RuleRows& rows, Findings& findings);
// The enabled members of each group, by name.
using GroupMembers = std::map<std::string, std::vector<std::string>>;
GroupMembers read_group_members(const Tables& tables);
// Whether a group has members, and others than the examples of a fresh database.
bool is_filled(const Tables& tables, std::string_view group);
// Values in the wrong column, and words in place of values.
void check_columns(const RuleRows& rows, Findings& findings);
// Rows that are there twice, and figures that never apply.
void check_duplicates(const RuleRows& rows, Findings& findings);
// Lists that are valid but hardly mean what was typed.
void check_doubtful(const RuleRows& rows, Findings& findings);
// What the rules do to some ordinary mails.
void check_samples(const RuleRows& rows, Findings& findings);
// Tracks that join clients.
void check_clients(const RuleRows& rows, Findings& findings);
void check_names(const RuleRows& rows, Findings& findings);
// Who is blocked, and blocks without effect.
void check_blocks(const RuleRows& rows, Findings& findings);
// Steps and signals.
void check_steps(const RuleRows& rows, Findings& findings);

// Configuration, process, answer, the rules in force, log and pid file.
void check_daemon(const DoctorQuestion& question, sqlite3* db, Findings& findings);

// Whether the limits of several MTAs are one. After check_daemon.
void check_cluster(const DoctorQuestion& question, Findings& findings);

// Whether notices that [notify] asks for are sent.
void check_notices(const DoctorQuestion& question, Findings& findings);

void check_postfix(const DoctorQuestion& question, const PostfixFacts& facts,
                   const RulesChecked& rules, Findings& findings);

}  // namespace limits
