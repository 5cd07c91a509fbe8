// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/modules/check_helo.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <optional>

#include "daemon/base/ascii.hpp"
#include "daemon/base/ip_address.hpp"
#include "daemon/modules/merged_rows.hpp"
#include "daemon/modules/text/mail_line.hpp"

namespace policyd {

namespace {

// Of the column Helo; longer names are cut.
constexpr std::size_t kMaxHelo = 255;

constexpr std::string_view kInvalidName = "Must be a FQDN or an address literal, not";

bool is_word(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-';
}

// Four numbers of one to three digits, not necessarily octets.
bool is_dotted_quad(std::string_view text) {
  for (int part = 0; part < 4; ++part) {
    const auto end = std::find_if_not(text.begin(), text.end(), is_digit);
    const auto digits = static_cast<std::size_t>(end - text.begin());
    if (digits < 1 || digits > 3) return false;
    text.remove_prefix(digits);
    if (part == 3) return text.empty();
    if (!text.starts_with('.')) return false;
    text.remove_prefix(1);
  }
  return false;
}

bool is_address(std::string_view text) {
  return is_dotted_quad(text) ||
         (text.find(':') != std::string_view::npos && IpAddress::parse(text));
}

bool is_name(std::string_view text) {
  bool dotted = false;
  bool in_label = false;
  for (const char c : text) {
    if (c == '.') {
      if (!in_label) return false;
      dotted = true;
      in_label = false;
    } else if (is_word(c)) {
      in_label = true;
    } else {
      return false;
    }
  }
  return dotted && in_label;
}

std::optional<CheckHeloRow> merged(const RcptQuestion& question) {
  using Row = CheckHeloRow;
  return merged_rows(question, &Policy::check_helo, &Row::use_blacklist, &Row::blacklist_period_s,
                     &Row::use_hrp, &Row::hrp_period_s, &Row::hrp_limit, &Row::reject_invalid,
                     &Row::reject_ip, &Row::reject_unresolvable);
}

bool is_on(const OptionalInteger& column) { return column == 1; }

enum class Listed : std::uint8_t { no, yes, error };

Listed whitelisted(const RcptQuestion& question) {
  for (const WhitelistRow& row : question.rules.check_helo_whitelist) {
    if (!row.sender_ip) return Listed::error;
    if (row.network && row.network->contains(question.request.client_address)) return Listed::yes;
  }
  return Listed::no;
}

void log_decision(RcptQuestion& question, std::string_view action, Reason::Kind reason) {
  question.reason.kind = reason;
  if (!question.log.mail_enabled()) return;
  question.log.mail(mail_line("CheckHelo", fmt::format("action={}", action), question.request,
                              question.request.recipient, word_of(reason)));
}

Next refuse(RcptQuestion& question, std::string text) {
  question.verdict = {Action::reject, "Invalid HELO/EHLO; " + std::move(text)};
  return Next::stop;
}

Next check_resolved(RcptQuestion& question) {
  if (!question.lookups.helo) return Next::go_on;  // skipped
  const std::string_view helo = question.request.helo_name;
  const auto refuse_for = [&](Reason::Kind reason, std::string text) {
    log_decision(question, "reject", reason);
    return refuse(question, std::move(text));
  };
  switch (*question.lookups.helo) {
    case HeloFound::address:
      return Next::go_on;
    case HeloFound::other_records:
      return refuse_for(Reason::Kind::resolve_notfound,
                        fmt::format("No A or MX records found for '{}'", helo));
    case HeloFound::no_such_domain:
      return refuse_for(Reason::Kind::resolve_nxdomain,
                        fmt::format("Cannot resolve '{}', no such domain", helo));
    case HeloFound::no_records:
      return refuse_for(Reason::Kind::resolve_noerror,
                        fmt::format("Cannot resolve '{}', no records found", helo));
    case HeloFound::server_failure:
      return refuse_for(Reason::Kind::resolve_servfail,
                        fmt::format("Failure while trying to resolve '{}'", helo));
    case HeloFound::no_answer:
      break;
  }
  question.reason.kind = Reason::Kind::no_result;
  question.log.error(fmt::format("module=CheckHelo: no answer from the DNS for '{}'", helo));
  question.verdict = {Action::defer, {}};
  return Next::stop;
}

Next check_form(RcptQuestion& question, const CheckHeloRow& row) {
  const std::string_view helo = question.request.helo_name;
  switch (helo_form(helo)) {
    case HeloForm::address:
      if (!is_on(row.reject_ip)) return Next::go_on;
      log_decision(question, "reject", Reason::Kind::ip_not_allowed);
      return refuse(question, fmt::format("{} '{}'", kInvalidName, helo));
    case HeloForm::literal:
      return Next::go_on;
    case HeloForm::name:
      return is_on(row.reject_unresolvable) ? check_resolved(question) : Next::go_on;
    case HeloForm::invalid:
      break;
  }
  // CBPolicyD does not log this.
  return refuse(question, fmt::format("{} '{}'", kInvalidName, helo));
}

// The time `period_s` seconds ago; the beginning of time without a period, or with a huge one.
HeloTracking::Time looking_back(const RcptQuestion& question, std::int64_t period_s) {
  const auto now = std::chrono::floor<std::chrono::seconds>(question.store.now());
  if (period_s <= 0 || period_s > now.time_since_epoch().count()) return {};
  return now - std::chrono::seconds{period_s};
}

}  // namespace

Next CheckHelo::refuse_rows(RcptQuestion& question, std::string problem) {
  errors_.refuse(question, "CheckHelo", std::move(problem));
  return Next::stop;
}

Next CheckHelo::check_history(RcptQuestion& question, const CheckHeloRow& row,
                              const std::string& address) {
  if (is_on(row.use_blacklist)) {
    HeloTracking* tracking = question.store.helo_tracking();
    const auto since = looking_back(question, row.blacklist_period_s.value_or(0));
    if (tracking != nullptr && tracking->used_blacklisted(address, since)) {
      log_decision(question, "reject", Reason::Kind::blacklisted);
      return refuse(question, "Blacklisted");
    }
  }
  if (!is_on(row.use_hrp)) return Next::go_on;
  const std::int64_t period_s = row.hrp_period_s.value_or(0);
  const std::int64_t limit = row.hrp_limit.value_or(0);
  if (period_s <= 0 || limit <= 0) {
    return refuse_rows(
        question,
        fmt::format("checkhelo={}: {}", merged_row_ids(question, &Policy::check_helo),
                    describe_missing("UseHRP", period_s <= 0 ? "HRPPeriod" : "HRPLimit")));
  }
  HeloTracking* tracking = question.store.helo_tracking();
  if (tracking == nullptr) return Next::go_on;
  const std::int64_t enough = limit < INT64_MAX ? limit + 1 : limit;
  if (tracking->names_used(address, looking_back(question, period_s), enough) <= limit) {
    return Next::go_on;
  }
  log_decision(question, "reject", Reason::Kind::hrp_blacklisted);
  return refuse(question, "HRP limit exceeded");
}

HeloForm helo_form(std::string_view helo) {
  if (is_address(helo)) return HeloForm::address;
  if (is_name(helo)) return HeloForm::name;
  if (!helo.starts_with('[') || !helo.ends_with(']') || helo.size() < 2) return HeloForm::invalid;
  std::string literal{helo.substr(1, helo.size() - 2)};
  if (is_address(literal)) return HeloForm::literal;
  lower_case(literal);
  constexpr std::string_view kTag = "ipv6:";
  const bool tagged = literal.starts_with(kTag) && literal.find(':', kTag.size()) != literal.npos &&
                      IpAddress::parse(std::string_view{literal}.substr(kTag.size()));
  return tagged ? HeloForm::literal : HeloForm::invalid;
}

NeededLookups CheckHelo::needed_lookups(const RcptQuestion& question) const {
  if (question.request.helo_name.empty()) return {};
  const auto row = merged(question);
  const bool needed = row && is_on(row->reject_invalid) && is_on(row->reject_unresolvable) &&
                      helo_form(question.request.helo_name) == HeloForm::name &&
                      whitelisted(question) == Listed::no;
  return {needed, false};
}

Next CheckHelo::decide_rcpt(RcptQuestion& question) {
  if (question.request.helo_name.empty()) return Next::go_on;
  const auto row = merged(question);
  if (!row) return Next::go_on;

  // The key of CBPolicyD's rows.
  const std::string address = question.request.client_address.to_short_string();
  if (HeloTracking* tracking = question.store.helo_tracking()) {
    tracking->note(address, question.request.helo_name.substr(0, kMaxHelo),
                   std::chrono::floor<std::chrono::seconds>(question.store.now()));
  }
  switch (whitelisted(question)) {
    case Listed::no:
      break;
    case Listed::yes:
      log_decision(question, "pass", Reason::Kind::whitelisted);
      question.verdict = {};
      return Next::go_on;
    case Listed::error:
      return refuse_rows(question, "checkhelo_whitelist: a row is not SenderIP:network");
  }
  if (is_on(row->reject_invalid) && check_form(question, *row) == Next::stop) return Next::stop;
  return check_history(question, *row, address);
}

}  // namespace policyd
