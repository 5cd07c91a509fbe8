// SPDX-License-Identifier: AGPL-3.0-only
// `doctor`: whether Postfix asks us about all mail, and whether it verifies senders.
#include <fmt/core.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "daemon/base/shell_words.hpp"
#include "plugin/doctor/checks.hpp"
#include "plugin/postfix/copied_setting.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

std::string name_of_service(const SmtpdService& service) {
  return fmt::format("{} ({})", service.name, service.type);
}

// "-c DIR " for postconf and postfix.
std::string config_option(const DoctorQuestion& question) {
  if (!question.postfix_config) return "";
  return fmt::format("-c {} ", policyd::shell_word(question.postfix_config->string()));
}

// Gives a list another value: in main.cf, or where master.cf overrides it, there.
Fix fix_for_list(const DoctorQuestion& question, const PostfixFacts& facts,
                 const SmtpdService& service, const RestrictionList& list,
                 const std::string& value) {
  if (is_carbonio(question)) return command("carbonio-limits enable");
  const std::string config = config_option(question);
  const auto short_value = list_without_blanks(value);
  if (list.own && !short_value) {
    return advice(fmt::format("set {} of {} in master.cf to: {}; then: postfix {}reload", list.name,
                              service.name, value, config));
  }
  const std::string setting =
      list.own ? fmt::format("{}/{}/{}={}", service.name, service.type, list.name, *short_value)
               : fmt::format("{} = {}", list.name, value);
  const std::string postfix =
      (std::filesystem::path{facts.program}.parent_path() / "postfix").string();
  return command(fmt::format("{} {}-{} {} && {} {}reload", policyd::shell_word(facts.program),
                             config, list.own ? "P" : "e", policyd::shell_word(setting),
                             policyd::shell_word(postfix), config));
}

// Replaces the words that Postfix does not know by what was evidently meant.
Fix fix_for_words(const DoctorQuestion& question, const PostfixFacts& facts,
                  const SmtpdService& service, const RestrictionList& list,
                  const std::string& unknown, bool ours_first,
                  const std::vector<std::string>& ours) {
  const auto written = restrictions_of(list.written, ours);
  const auto is_found = [&](const Restriction& each) { return each.unknown == unknown; };
  const bool evident = std::any_of(written.begin(), written.end(), is_found) &&
                       std::all_of(written.begin(), written.end(),
                                   [](const Restriction& each) { return each.evident; });
  if (!evident) {  // or in a restriction class
    return advice(fmt::format("put what is meant in place of that word, then: postfix {}reload",
                              config_option(question)));
  }
  return fix_for_list(question, facts, service, list,
                      ours_first ? asking_first(list.written, ours) : list_text(written));
}

// As they are once those words are replaced, or gone.
std::vector<RestrictionList> without_unknown_words(std::vector<RestrictionList> lists,
                                                   const std::vector<std::string>& ours) {
  for (RestrictionList& list : lists) {
    auto all = restrictions_of(list.value, ours);
    std::erase_if(all, [](const Restriction& each) { return !each.evident; });
    list.value = list_text(all);
  }
  return lists;
}

const RestrictionList& list_named(const SmtpdService& service, std::string_view name) {
  for (const auto* lists : {&service.at_rcpt, &service.before_rcpt}) {
    for (const RestrictionList& list : *lists) {
      if (list.name == name) return list;
    }
  }
  return service.at_rcpt.back();  // smtpd_recipient_restrictions
}

bool checks_login(const std::vector<RestrictionList>& lists) {
  constexpr std::string_view kMark = "sender_login_mismatch";
  for (const RestrictionList& list : lists) {
    for (const std::string& word : restriction_words(lower_cased(list.value))) {
      if (word == "permit" || word == "permit_sasl_authenticated") break;
      if (word.rfind("reject_", 0) == 0 && word.find(kMark) != std::string::npos &&
          word.find("unauthenticated") == std::string::npos) {
        return true;
      }
    }
  }
  return false;
}

// Whether a user who is logged in may send with the empty sender, which Postfix's login check
// leaves out.
bool permits_empty_sender(const SmtpdService& service, const PostfixFacts& facts) {
  if (!service.takes_logins) return false;
  for (const auto* lists : {&service.at_rcpt, &service.before_rcpt}) {
    for (const RestrictionList& list : *lists) {
      for (const Restriction& each : restrictions_of(list.value, {})) {
        if (each.is("permit") || each.is("permit_sasl_authenticated")) break;
        if (facts.maps_against_empty_sender.contains(each.text())) return false;
      }
    }
  }
  return true;
}

// Findings about several services with the same fix are one.
class ServiceFindings {
 public:
  void add(const Problem& problem, const SmtpdService& service, std::string what, std::string why,
           Fix fix) {
    for (Entry& entry : all_) {
      const bool same =
          entry.problem.name == problem.name && entry.fix.text == fix.text && entry.what == what;
      if (!same) continue;
      entry.services.push_back(name_of_service(service));
      return;
    }
    all_.push_back(
        {problem, {name_of_service(service)}, std::move(what), std::move(why), std::move(fix)});
  }

  void report(Findings& findings) const {
    for (const Entry& entry : all_) {
      findings.wrong(entry.problem,
                     fmt::format("Postfix's {} {}", join_with_and(entry.services), entry.what),
                     entry.why, entry.fix);
    }
  }

 private:
  struct Entry {
    Problem problem;
    std::vector<std::string> services;
    std::string what, why;
    Fix fix;
  };
  std::vector<Entry> all_;
};

void check_service(const SmtpdService& service, const DoctorQuestion& question,
                   const PostfixFacts& facts, const std::vector<std::string>& ours, bool by_size,
                   ServiceFindings& found) {
  constexpr const char* kNoLimit = "no limit is in force for mail that arrives there";
  constexpr const char* kRecipients = "smtpd_recipient_restrictions";
  const Asking at_rcpt =
      asking(without_unknown_words(service.at_rcpt, ours), ours, facts.permitting_maps);
  const bool asks_at_end = asking(without_unknown_words({service.end_of_data}, ours), ours).asks;
  const auto first = [&](const RestrictionList& list) {
    return fix_for_list(question, facts, service, list, asking_first(list.written, ours));
  };
  const auto fix = [&](std::string_view list) { return first(list_named(service, list)); };
  // Two findings about one list have the same fix.
  const auto check_words = [&](const RestrictionList& list, bool ours_first) {
    const auto all = restrictions_of(list.value, ours);
    const Restriction* found_word = first_unknown(all);
    if (found_word == nullptr) return;
    found.add(problem::kUnknownWord, service,
              fmt::format("has a word in {} that Postfix does not know: {}", list.name,
                          escaped(found_word->unknown)),
              "Postfix answers 451 to all mail that arrives there",
              fix_for_words(question, facts, service, list, found_word->unknown, ours_first, ours));
  };
  const bool well = at_rcpt.asks && at_rcpt.permits.empty();
  for (const RestrictionList& list : service.at_rcpt) {
    check_words(list, !well && list.name == kRecipients);
  }
  for (const RestrictionList& list : service.before_rcpt) check_words(list, false);
  check_words(service.end_of_data, by_size && !asks_at_end);
  if (!at_rcpt.asks && at_rcpt.only_warns) {
    found.add(problem::kOnlyWarns, service, "ignores the daemon's answer (warn_if_reject)",
              kNoLimit, fix(kRecipients));
  } else if (!at_rcpt.asks && asking(without_unknown_words(service.before_rcpt, ours), ours).asks) {
    found.add(problem::kAsksEarly, service,
              "asks the daemon before RCPT TO only (smtpd_delay_reject = no)",
              "recipients are counted at RCPT TO, so nothing is, and no limit is in force for mail "
              "that arrives there",
              fix(kRecipients));
  } else if (!at_rcpt.asks && !at_rcpt.elsewhere.empty()) {
    found.add(problem::kAsksAnother, service,
              fmt::format("asks {}, not the daemon ({})", escaped(at_rcpt.elsewhere.front()),
                          ours.front()),
              kNoLimit, fix(kRecipients));
  } else if (!at_rcpt.asks) {
    found.add(problem::kNeverAsks, service, "never asks the daemon", kNoLimit, fix(kRecipients));
  } else if (!at_rcpt.permits.empty()) {
    const std::set<std::string> permits{at_rcpt.permits.begin(), at_rcpt.permits.end()};
    found.add(
        problem::kPermits, service, fmt::format("asks only after {}", fmt::join(permits, ", ")),
        "mail permitted there passes unchecked, and no limit is in force for it", fix(kRecipients));
  }
  if (by_size && !asks_at_end) {
    found.add(problem::kEndOfData, service, "does not ask at the end of a message",
              "limits by size count nothing: the size of a message is known only then",
              first(service.end_of_data));
  }
}

// The maps before our check of which it is not known what they permit.
std::set<std::string> unread_before_us(const SmtpdService& service, const PostfixFacts& facts,
                                       const std::vector<std::string>& ours) {
  std::set<std::string> permitting = facts.permitting_maps;
  permitting.insert(facts.unread_maps.begin(), facts.unread_maps.end());
  std::set<std::string> out;
  for (const std::string& permit : asking(service.at_rcpt, ours, permitting).permits) {
    if (facts.unread_maps.contains(permit)) out.insert(permit);
  }
  return out;
}

bool counts_users(const policyd::Rules& rules) {
  using Method = policyd::TrackMethod;
  constexpr std::array kMethods = {Method::sender_address, Method::sender_user,
                                   Method::recipient_address, Method::recipient_user,
                                   Method::account};
  const auto counts = [&](const auto& row) {
    return row.track &&
           std::find(kMethods.begin(), kMethods.end(), row.track->method) != kMethods.end();
  };
  return std::any_of(rules.policies.begin(), rules.policies.end(), [&](const auto& policy) {
    return std::any_of(policy.quotas.begin(), policy.quotas.end(), counts) ||
           std::any_of(policy.accounting.begin(), policy.accounting.end(), counts);
  });
}

// What follows if the daemon has another value than Postfix, or none.
struct SettingTexts {
  const char* check;
  Problem problem;
  const char* well;
  const char* none;
  const char* other;
  const char* instead;  // of a value that the daemon does not support
};

constexpr std::array<SettingTexts, kCopiedSettings.size()> kSettingTexts = {{
    {check::kPostfixDelimiter, problem::kDelimiter, "addresses count without extensions",
     "a user evades limits with extensions, as in anna+1@example.org, each of which has a counter "
     "of its own",
     "the daemon takes other addresses for the same user than Postfix does",
     "another recipient_delimiter in Postfix, such as +"},
    {check::kPostfixOrigin, problem::kOrigin, "addresses without a domain count as those with it",
     "a user evades limits with addresses without @, as in anna or anna%example.org, which Postfix "
     "takes for anna@example.org, but which have counters of their own",
     "the daemon takes addresses without @ for others than Postfix does", "a domain in Postfix"},
}};

// Whether an address counts as the user that Postfix takes it for, however it is written.
void check_setting(const CopiedSetting& setting, const SettingTexts& texts,
                   const DoctorQuestion& question, const PostfixFacts& facts, Findings& findings) {
  const std::string& ours = question.daemon.config.*setting.daemon;
  const std::string& postfix = facts.*setting.postfix;
  const auto wanted = value_for_daemon(setting, postfix);
  if (wanted == ours) {
    if (ours.empty()) return;
    findings.well(texts.check, fmt::format("{}, as in Postfix ({} {})", texts.well, setting.name,
                                           escaped(ours)));
    return;
  }
  const auto value = [](const std::string& text) {
    return text.empty() ? std::string{"empty"} : fmt::format("'{}'", escaped(text));
  };
  findings.wrong(texts.problem,
                 fmt::format("{} is {} in Postfix, but {} for the daemon", setting.name,
                             value(postfix), value(ours)),
                 ours.empty() ? texts.none : texts.other,
                 !wanted ? advice(fmt::format("the daemon does not support {}: use {}",
                                              value(postfix), texts.instead))
                 : is_carbonio(question)
                     ? command("carbonio-limits enable")
                     : command(setting_command(policyd::own_config_of(question.daemon.file),
                                               setting, *wanted)));
}

void check_settings(const DoctorQuestion& question, const PostfixFacts& facts,
                    const RulesChecked& rules, Findings& findings) {
  if (!rules.rules || !counts_users(*rules.rules)) return;
  for (std::size_t i = 0; i < kCopiedSettings.size(); ++i) {
    check_setting(kCopiedSettings.at(i), kSettingTexts.at(i), question, facts, findings);
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
  if (!question.daemon.read) {
    findings.not_checked(check::kPostfixAsks,
                         "whether Postfix asks the daemon: its address is in the configuration");
    return;
  }
  const auto ours = policy_service_names(question.daemon.config);
  bool login_is_checked = true;
  bool empty_sender = false;
  ServiceFindings found;
  std::set<std::string> unread;
  for (const SmtpdService* service : services_for_clients(facts)) {
    unread.merge(unread_before_us(*service, facts, ours));
    check_service(*service, question, facts, ours, rules.by_size, found);
    login_is_checked =
        login_is_checked && (checks_login(service->at_rcpt) || checks_login(service->before_rcpt));
    empty_sender = empty_sender || permits_empty_sender(*service, facts);
  }
  found.report(findings);
  for (const std::string& map : unread) {
    findings.not_checked("postfix.maps",
                         fmt::format("whether {} lets mail pass unchecked", escaped(map)));
  }
  if (unread.empty() && !findings.is_wrong(check::kPostfixAsks) &&
      !findings.is_wrong(check::kPostfixPermits)) {
    findings.well(check::kPostfixAsks, "Postfix asks about all mail, before any permit");
  }
  if (rules.by_size) {
    findings.well_unless_wrong(check::kPostfixEndOfData, "Postfix asks at the end of each message");
  }
  check_settings(question, facts, rules, findings);
  if (!rules.by_sender) return;
  if (login_is_checked && empty_sender && rules.for_empty_sender) {
    findings.wrong(problem::kNullSender,
                   "authenticated users can send with the empty sender (MAIL FROM:<>), which no "
                   "limit counts",
                   "limits count by sender, and Postfix's login check leaves out the empty one: a "
                   "hacked account sends any number of messages",
                   *rules.for_empty_sender);
    return;
  }
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
      problem::kSenders,
      "authenticated users can use any sender address (no "
      "reject_authenticated_sender_login_mismatch before permit_sasl_authenticated)",
      "limits count by sender: a hacked account evades its own limit by using other addresses, and "
      "uses up theirs",
      advice("carbonio-limits send LIMIT --per account, which counts by login name, and web mail, "
             "which has none, by sender; or have Postfix refuse such mail: "
             "reject_authenticated_sender_login_mismatch in smtpd_sender_restrictions, before "
             "permit_sasl_authenticated"));
}

}  // namespace limits
