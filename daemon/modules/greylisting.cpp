// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/modules/greylisting.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <iterator>
#include <optional>

#include "daemon/modules/merged_rows.hpp"
#include "daemon/modules/text/mail_line.hpp"
#include "daemon/store/joined_greylisting.hpp"

namespace policyd {

namespace {

using Decision = Greylisting::Decision;

std::optional<GreylistingRow> merged(const RcptQuestion& question) {
  using Row = GreylistingRow;
  return merged_rows(question, &Policy::greylisting, &Row::use_greylisting, &Row::greylist_period_s,
                     &Row::track, &Row::auth_validity_s, &Row::unauth_validity_s,
                     &Row::use_auto_whitelist, &Row::auto_whitelist_period_s,
                     &Row::auto_whitelist_count, &Row::auto_whitelist_percentage,
                     &Row::use_auto_blacklist, &Row::auto_blacklist_period_s,
                     &Row::auto_blacklist_count, &Row::auto_blacklist_percentage);
}

// When a track key gets on a list: at `count` triplets, if as many of them, or `percentage`
// percent, are good (or bad).
struct Threshold {
  std::int64_t count;       // 0 or less: never
  std::int64_t percentage;  // 0 or less: `count` of them must be

  [[nodiscard]] bool met(std::int64_t total, std::int64_t of_these) const {
    if (count <= 0 || total < count) return false;
    if (percentage <= 0) return of_these >= count;
    // Multiplied, since 29 / 100 * 100 is less than 29.
    return static_cast<double>(of_these) * 100.0 >=
           static_cast<double>(percentage) * static_cast<double>(total);
  }
};

// The Comment of a list's row, as CBPolicyD writes it.
std::string list_comment(std::string_view listed, std::string_view percentage_label,
                         const Threshold& threshold, std::int64_t total, std::int64_t of_these) {
  if (threshold.percentage <= 0) {
    return fmt::format("{}: Count/Required = {}/{}", listed, of_these, threshold.count);
  }
  const double percentage = static_cast<double>(of_these) * 100.0 / static_cast<double>(total);
  return fmt::format("{}: TotalCount/Required = {}/{}, {} = {:.15g}/{}", listed, total,
                     threshold.count, percentage_label, percentage, threshold.percentage);
}

// Checks one recipient against lists and triplets.
class Check {
 public:
  Check(const Request& request, const GreylistingRow& row, GreylistingTables& tables,
        std::chrono::sys_seconds now, bool training, bool may_ask)
      : request_(request),
        row_(row),
        tables_(tables),
        now_(now),
        training_(training),
        may_ask_(may_ask) {}

  // Nothing if the other MTAs have to be asked first.
  std::optional<Decision> decide() {
    if (!row_.track) return invalid_row("Track is not set");
    if (!*row_.track) return invalid_row(row_.track->error().message);
    append_track_key(key_, **row_.track, request_);
    if (const auto decision = on_auto_whitelist()) return *decision;
    if (const auto decision = on_auto_blacklist()) return *decision;
    const auto found = tables_.find(key_, request_.sender, request_.recipient);
    const bool is_settled = found && found->passes > 0 && !is_too_young(*found);
    if (may_ask_ && !is_settled) return std::nullopt;
    return triplet(found);
  }

  [[nodiscard]] TripletQuestion question() const {
    TripletQuestion asked;
    asked.track_key = key_;
    asked.sender = request_.sender;
    asked.recipient = request_.recipient;
    asked.now = now_;
    if (whitelists()) asked.whitelist_period = whitelist_period();
    if (blacklists()) asked.blacklist_period = blacklist_period();
    return asked;
  }

 private:
  static Decision invalid_row(std::string problem) {
    return {Action::defer, Reason::Kind::none, 0, std::move(problem)};
  }
  [[nodiscard]] bool whitelists() const { return row_.use_auto_whitelist == 1; }
  [[nodiscard]] bool blacklists() const { return row_.use_auto_blacklist == 1 && !training_; }
  [[nodiscard]] std::chrono::seconds whitelist_period() const {
    return std::chrono::seconds{row_.auto_whitelist_period_s.value_or(0)};
  }
  [[nodiscard]] std::chrono::seconds blacklist_period() const {
    return std::chrono::seconds{row_.auto_blacklist_period_s.value_or(0)};
  }

  std::optional<Decision> on_auto_whitelist() {
    if (!whitelists()) return std::nullopt;
    if (whitelist_period().count() <= 0) {
      return invalid_row(describe_missing("UseAutoWhitelist", "AutoWhitelistPeriod"));
    }
    const auto seen = tables_.auto_whitelist_seen(key_);
    if (!seen || now_ - *seen > whitelist_period()) return std::nullopt;
    tables_.renew_auto_whitelist(key_, now_);
    return Decision{Action::pass, Reason::Kind::auto_whitelisted};
  }

  std::optional<Decision> on_auto_blacklist() {
    if (!blacklists()) return std::nullopt;
    if (blacklist_period().count() <= 0) {
      return invalid_row(describe_missing("UseAutoBlacklist", "AutoBlacklistPeriod"));
    }
    const auto added = tables_.auto_blacklist_added(key_);
    if (!added || now_ - *added > blacklist_period()) return std::nullopt;
    return Decision{Action::reject, Reason::Kind::auto_blacklisted};
  }

  [[nodiscard]] bool is_too_young(const Triplet& triplet) const {
    const std::chrono::seconds period{row_.greylist_period_s.value_or(0)};
    return !training_ && now_ - triplet.first_seen < period;
  }

  Decision triplet(std::optional<Triplet> triplet) {
    if (!triplet) {
      if (becomes_blacklisted()) return {Action::reject, Reason::Kind::auto_blacklisted};
      tables_.insert(key_, request_.sender, request_.recipient, now_);
      if (!training_) return {Action::defer, Reason::Kind::greylisted};
      triplet = tables_.find(key_, request_.sender, request_.recipient);
      if (!triplet) return {};
    }
    if (is_too_young(*triplet)) {
      tables_.deferred(*triplet, now_);
      return {Action::defer, Reason::Kind::greylisted, triplet->tries + 1};
    }
    tables_.passed(*triplet, now_);
    if (becomes_whitelisted()) return {Action::pass, Reason::Kind::auto_whitelisted};
    return {Action::pass, training_ ? Reason::Kind::training : Reason::Kind::authenticated};
  }

  // Without the current triplet.
  bool becomes_blacklisted() {
    const Threshold threshold{row_.auto_blacklist_count.value_or(0),
                              row_.auto_blacklist_percentage.value_or(0)};
    if (!blacklists() || threshold.count <= 0) return false;
    const TripletCounts counts = tables_.count(key_, since(blacklist_period()));
    const std::int64_t failed = counts.total - counts.passed;
    if (!threshold.met(counts.total, failed)) return false;
    tables_.auto_blacklist(
        key_, now_,
        list_comment("Auto-blacklisted", "Percentage/Threshold", threshold, counts.total, failed));
    return true;
  }

  // Including the current triplet.
  bool becomes_whitelisted() {
    const Threshold threshold{row_.auto_whitelist_count.value_or(0),
                              row_.auto_whitelist_percentage.value_or(0)};
    if (!whitelists() || threshold.count <= 0) return false;
    const TripletCounts counts = tables_.count(key_, since(whitelist_period()));
    if (!threshold.met(counts.total, counts.passed)) return false;
    tables_.auto_whitelist(key_, now_,
                           list_comment("Auto-whitelisted", "Percentage/Threshold/Required",
                                        threshold, counts.total, counts.passed));
    return true;
  }

  [[nodiscard]] std::chrono::sys_seconds since(std::chrono::seconds period) const {
    return now_ - std::min(period, now_.time_since_epoch());
  }

  const Request& request_;
  const GreylistingRow& row_;
  GreylistingTables& tables_;
  std::chrono::sys_seconds now_;
  bool training_;
  bool may_ask_;
  std::string key_;
};

// At most ten years, whatever a row says.
std::chrono::seconds span_of(std::int64_t seconds) {
  return std::chrono::seconds{std::clamp<std::int64_t>(seconds, 0, 10L * 366 * 86'400)};
}

// Without one the tables keep a triplet for ever, Redis for a month.
std::chrono::seconds validity_of(const OptionalInteger& seconds) {
  return seconds.value_or(0) > 0 ? span_of(*seconds) : span_of(30L * 86'400);
}

std::chrono::seconds list_period(const OptionalInteger& use, const OptionalInteger& period) {
  return use == 1 ? span_of(period.value_or(0)) : std::chrono::seconds{0};
}

// How long the other MTAs find what they are told: as long as the clean-up leaves it in the tables,
// and a triplet at least until its mail may pass.
JoinedGreylisting::Keep keep_of(const GreylistingRow& row) {
  const auto until_it_may_pass = 2 * span_of(row.greylist_period_s.value_or(0));
  return {std::max(validity_of(row.unauth_validity_s), until_it_may_pass),
          validity_of(row.auth_validity_s),
          list_period(row.use_auto_whitelist, row.auto_whitelist_period_s),
          list_period(row.use_auto_blacklist, row.auto_blacklist_period_s)};
}

bool is_whitelisted(const RcptQuestion& question) {
  const auto& rows = question.rules.greylisting_whitelist;
  return std::any_of(rows.begin(), rows.end(), [&](const WhitelistRow& row) {
    return row.network && row.network->contains(question.request.client_address);
  });
}

void log_decision(Question& question, const Decision& decision) {
  question.reason.kind = decision.reason;
  question.reason.tries = decision.tries;
  if (!question.log.mail_enabled()) return;
  const Request& request = question.request;
  std::string line = mail_line("Greylisting", fmt::format("action={}", name_of(decision.action)),
                               request, request.recipient, word_of(decision.reason));
  if (decision.tries > 0) fmt::format_to(std::back_inserter(line), ", tries={}", decision.tries);
  question.log.mail(line);
}

}  // namespace

Next Greylisting::decide_rcpt(RcptQuestion& question) {
  const std::optional<GreylistingRow> row = merged(question);
  if (!row || row->use_greylisting.value_or(1) != 1) return Next::go_on;
  GreylistingTables* tables = question.store.greylisting();
  if (tables == nullptr) return Next::go_on;
  if (question.counted_before_crash) {  // it was let through
    question.verdict = {};
    return Next::go_on;
  }
  if (is_whitelisted(question)) return answer(question, {Action::pass, Reason::Kind::whitelisted});
  const auto now = std::chrono::floor<std::chrono::seconds>(question.store.now());
  std::optional<JoinedGreylisting> joined;
  if (question.greylisting != nullptr) {
    tables = &joined.emplace(*tables, *question.greylisting, question.known, keep_of(*row));
  }
  const bool may_ask = joined && question.known == nullptr;
  Check check{question.request, *row, *tables, now, settings_.training, may_ask};
  const auto decision = check.decide();
  if (question.store.greylisting() == nullptr) return Next::go_on;  // failed meanwhile
  if (decision) return answer(question, *decision);
  question.asked = check.question();
  return Next::wait;
}

// Even a pass replaces the answer of earlier modules, as in CBPolicyD.
Next Greylisting::answer(RcptQuestion& question, const Decision& decision) {
  if (!decision.problem.empty()) {
    errors_.refuse(question, "Greylisting",
                   fmt::format("greylisting={}: {}", merged_row_ids(question, &Policy::greylisting),
                               decision.problem));
    return Next::stop;
  }
  log_decision(question, decision);
  if (decision.action == Action::pass) {
    question.verdict = {};
    return Next::go_on;
  }
  if (decision.action == Action::reject) {
    question.verdict = {Action::reject, settings_.blacklist_message};
  } else {
    question.verdict = {Action::defer, "451 4.7.1 " + settings_.defer_message};
  }
  return Next::stop;
}

}  // namespace policyd
