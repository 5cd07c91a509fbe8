// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/doctor/examine.hpp"

#include "hooks/service/service.hpp"
#include "plugin/database/as_owner.hpp"
#include "plugin/doctor/checks.hpp"
#include "plugin/postfix/postfix_asks.hpp"

namespace limits {
namespace {

// After `disable`, or before the first `enable`, the daemon rightly does not run and Postfix
// rightly does not ask it.
void check_switched_on(const DoctorQuestion& question, const PostfixFacts& postfix,
                       Findings& findings) {
  const bool off = is_carbonio(question) && !carbonio::is_switched_on(question.zextras_home) &&
                   postfix.why_not.empty() && findings.is_wrong(check::kDaemonRunning) &&
                   !findings.is_well(check::kDaemonAnswers) &&
                   !asks_us(postfix, question.daemon.config);
  if (!off) return;
  for (const char* check :
       {check::kDaemonRunning, check::kDaemonRules, check::kPostfixAsks, check::kPostfixPermits,
        check::kPostfixEndOfData, check::kPostfixDelimiter, check::kPostfixOrigin,
        check::kPostfixSenders}) {
    findings.drop(check);
  }
  findings.wrong(problem::kServiceOff, "the policy service is switched off on this host",
                 "no limit is in force: mail passes unchecked", command("carbonio-limits enable"));
}

}  // namespace

policyd::Result<Findings> examine(const DoctorQuestion& question) {
  // Before this process gives up root: master.cf may be readable by root only.
  const PostfixFacts postfix =
      read_postfix(question.zextras_home, question.search_path, question.postfix_config);
  if (auto became = become_owner_of(question.daemon.config.database); !became) {
    return tl::unexpected{became.error()};
  }
  Findings findings;
  RulesChecked rules;
  if (check_driver(question, findings)) {
    check_postfix(question, postfix, rules, findings);
    return findings;
  }
  const policyd::sql::Handle db = check_database(question, findings);
  if (db != nullptr) {
    rules = check_rules(question, Tables{db.get(), question.daemon.config.table_prefix}, findings);
  } else {
    findings.not_checked("rules.rows", "limits and their rows: the database cannot be read");
  }
  check_daemon(question, db.get(), findings);
  check_postfix(question, postfix, rules, findings);
  check_switched_on(question, postfix, findings);
  check_cluster(question, findings);
  check_notices(question, findings);
  return findings;
}

}  // namespace limits
