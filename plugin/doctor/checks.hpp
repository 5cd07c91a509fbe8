// SPDX-License-Identifier: AGPL-3.0-only
// The checks of `doctor`, by subject, and what they share. Used by doctor.cpp only.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "daemon/rules/rules.hpp"
#include "plugin/database/change_set.hpp"
#include "plugin/doctor/examine.hpp"
#include "plugin/postfix/postfix_asks.hpp"

namespace limits {

inline constexpr const char* kStart = "carbonio-limits service start";
// Starts it too, and another program that runs in its place gives way.
inline constexpr const char* kRestart = "carbonio-limits service restart";

// `sqlite3 FILE "..."`, as one types it into a shell.
std::string sqlite_command(const std::filesystem::path& database, const std::string& sql);
// On a Carbonio host, where `enable` mends much.
bool is_carbonio(const DoctorQuestion& question);

// Each row of a query; false where it cannot be read.
bool each_row(const Tables& tables, const std::string& query,
              const std::function<void(const policyd::sql::Statement&)>& row);

// Its files, opening, writing, schema, integrity. A closed handle where it cannot be used at all.
policyd::sql::Handle check_database(const DoctorQuestion& question, Findings& findings);

struct RulesChecked {
  std::shared_ptr<const policyd::Rules> rules;  // null where they cannot be read
  bool by_sender = false;   // some limit counts by the envelope sender of authenticated mail
  bool by_account = false;  // and one refuses whoever logs in, whatever sender he names
  bool by_size = false;     // some limit counts sizes
};
// Rows: problems that the daemon finds, orphans, names, limits that can never apply.
RulesChecked check_rules(const DoctorQuestion& question, const Tables& tables, Findings& findings);
// Limits that strangers can use up, and those that catch the world's bounces.
void check_senders(const DoctorQuestion& question, const Tables& tables, RulesChecked& checked,
                   Findings& findings);
void check_names(const DoctorQuestion& question, const Tables& tables, Findings& findings);

// Configuration, process, answer, the rules in force, log and pid file.
void check_daemon(const DoctorQuestion& question, sqlite3* db, Findings& findings);

// Whether any of its services asks us, as far as is known.
bool asks_us(const DoctorQuestion& question, const PostfixFacts& facts);
void check_postfix(const DoctorQuestion& question, const PostfixFacts& facts,
                   const RulesChecked& rules, Findings& findings);

}  // namespace limits
