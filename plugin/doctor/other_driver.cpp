// SPDX-License-Identifier: AGPL-3.0-only
// `doctor`: a configuration of the Perl daemon that keeps its rows in MySQL or PostgreSQL.
#include <fmt/core.h>

#include "daemon/base/shell_words.hpp"
#include "plugin/doctor/checks.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

// "mysql" of the complaint about "DBI:mysql:..."; empty if it is about something else.
std::string driver_in(std::string_view complaint) {
  constexpr std::string_view kBegin = "dbi:";
  const std::string text = lower_cased(complaint);
  const std::size_t begin = text.find(kBegin);
  if (begin == std::string::npos || text.find("dsn") == std::string::npos) return {};
  const std::string_view rest = std::string_view{text}.substr(begin + kBegin.size());
  const std::string driver{rest.substr(0, rest.find_first_not_of("abcdefghijklmnopqrstuvwxyz"))};
  return driver == "sqlite" ? std::string{} : driver;
}

}  // namespace

bool check_driver(const DoctorQuestion& question, Findings& findings) {
  if (question.daemon.read) return false;
  const std::string driver = driver_in(question.daemon.why_not);
  if (driver.empty()) return false;
  const std::string file = question.daemon.config.database.string();
  findings.wrong(
      problem::kOtherDriver,
      fmt::format("{} names a database of {} (DSN); only SQLite is supported",
                  question.daemon.file.string(), driver == "pg" ? "PostgreSQL" : escaped(driver)),
      "the daemon does not start: no limit kept there is in force, and Postfix, if it asks, "
      "answers 451 to all mail",
      advice(fmt::format(
          "the tables are the same, so take the rows over: carbonio-limits init --no-prov "
          "--database {0}; then: mysqldump --compact --no-create-info --replace DATABASE policies "
          "policy_members policy_groups policy_group_members quotas quotas_limits access_control "
          "accounting | sqlite3 {0} (of PostgreSQL the INSERTs of pg_dump --inserts --data-only, "
          "without its schema's name); then set DSN=DBI:SQLite:dbname={1} and: carbonio-limits "
          "service start",
          policyd::shell_word(file), file)));
  return true;
}

}  // namespace limits
