// SPDX-License-Identifier: AGPL-3.0-only
// `doctor`: whether Postfix asks us about all mail, and whether it verifies senders.
#include <fmt/core.h>
#include <fmt/format.h>

#include <set>

#include "plugin/doctor/checks.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

// How to make Postfix ask before everything else.
std::string fix_for_asking(const DoctorQuestion& question, const PostfixFacts& facts,
                           const std::string& ours) {
  if (is_carbonio(question)) {
    return "carbonio-limits enable";
  }
  const std::string config =
      question.postfix_config ? fmt::format(" -c {}", question.postfix_config->string()) : "";
  return fmt::format(
      "put 'check_policy_service {0}' at the beginning of smtpd_recipient_restrictions and "
      "smtpd_sender_restrictions in main.cf (now: {1}{2} smtpd_recipient_restrictions), then: "
      "postfix reload",
      ours, facts.program, config);
}

std::string name_of_service(const SmtpdService& service) {
  return fmt::format("{} ({})", service.name, service.type);
}

bool checks_login(const SmtpdService& service) {
  constexpr std::string_view kMark = "sender_login_mismatch";
  for (const std::string& list : service.at_rcpt) {
    for (const std::string& word : restriction_words(list)) {
      if (word == "permit" || word == "permit_sasl_authenticated") break;
      if (word.rfind("reject_", 0) == 0 && word.find(kMark) != std::string::npos &&
          word.find("unauthenticated") == std::string::npos) {
        return true;
      }
    }
  }
  return false;
}

void check_service(const SmtpdService& service, const DoctorQuestion& question,
                   const PostfixFacts& facts, const std::vector<std::string>& ours, bool by_size,
                   Findings& findings) {
  const std::string name = name_of_service(service);
  const Asking at_rcpt = asking(service.at_rcpt, ours);
  const std::string fix = fix_for_asking(question, facts, ours.front());
  if (!at_rcpt.asks && !at_rcpt.elsewhere.empty()) {
    findings.wrong(check::kPostfixAsks,
                   fmt::format("Postfix's {} asks {}, not the daemon ({})", name,
                               escaped(at_rcpt.elsewhere.front()), ours.front()),
                   "no limit is in force for mail that arrives there", fix);
  } else if (!at_rcpt.asks) {
    findings.wrong(check::kPostfixAsks, fmt::format("Postfix's {} never asks the daemon", name),
                   "no limit is in force for mail that arrives there", fix);
  } else if (!at_rcpt.permits.empty()) {
    const std::set<std::string> permits{at_rcpt.permits.begin(), at_rcpt.permits.end()};
    findings.wrong(check::kPostfixPermits,
                   fmt::format("Postfix's {} asks only after {}", name, fmt::join(permits, ", ")),
                   "mail permitted there passes unchecked, and no limit is in force for it", fix);
  }
  if (by_size && !asking({service.end_of_data}, ours).asks) {
    findings.wrong(check::kPostfixEndOfData,
                   fmt::format("Postfix's {} does not ask at the end of a message", name),
                   "limits by size count nothing: the size of a message is known only then",
                   is_carbonio(question)
                       ? fix
                       : fmt::format("put 'check_policy_service {}' at the beginning of "
                                     "smtpd_end_of_data_restrictions, then: postfix reload",
                                     ours.front()));
  }
}

}  // namespace

void check_postfix(const DoctorQuestion& question, const PostfixFacts& facts,
                   const RulesChecked& rules, Findings& findings) {
  if (!facts.why_not.empty()) {
    findings.not_checked(check::kPostfixAsks,
                         fmt::format("whether Postfix asks: {}", escaped(facts.why_not)));
    return;
  }
  const auto ours = policy_service_names(question.daemon.config);
  bool login_is_checked = true;
  for (const SmtpdService* service : services_for_clients(facts)) {
    check_service(*service, question, facts, ours, rules.by_size, findings);
    login_is_checked = login_is_checked && checks_login(*service);
  }
  if (!findings.is_wrong(check::kPostfixAsks) && !findings.is_wrong(check::kPostfixPermits)) {
    findings.well(check::kPostfixAsks, "Postfix asks about all mail, before any permit");
  }
  if (rules.by_size) {
    findings.well_unless_wrong(check::kPostfixEndOfData, "Postfix asks at the end of each message");
  }
  if (!rules.by_sender) return;
  if (login_is_checked) {
    findings.well(check::kPostfixSenders,
                  "authenticated users cannot use another user's sender address");
    return;
  }
  if (rules.by_account) {
    findings.well(
        check::kPostfixSenders,
        "authenticated users can use any sender address, but a limit counts by login name");
    return;
  }
  findings.wrong(
      check::kPostfixSenders,
      "authenticated users can use any sender address (no "
      "reject_authenticated_sender_login_mismatch before permit_sasl_authenticated)",
      "limits count by sender: a hacked account evades its own limit by using other addresses, and "
      "uses up theirs",
      "carbonio-limits send LIMIT --per account, which counts by login name, and web mail, which "
      "has "
      "none, by sender; or have Postfix "
      "refuse such mail: reject_authenticated_sender_login_mismatch in smtpd_sender_restrictions, "
      "before permit_sasl_authenticated");
}

}  // namespace limits
