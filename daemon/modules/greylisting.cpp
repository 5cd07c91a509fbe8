// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/modules/greylisting.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <iterator>
#include <optional>

#include "daemon/modules/text/mail_line.hpp"

namespace policyd {

namespace {

using Decision = Greylisting::Decision;
using Kind = Decision::Kind;

template <typename T>
void override_by(std::optional<T>& value, const std::optional<T>& later) {
  if (later) value = later;
}

void override_by(GreylistingRow& merged, const GreylistingRow& row) {
  override_by(merged.use_greylisting, row.use_greylisting);
  override_by(merged.greylist_period_s, row.greylist_period_s);
  override_by(merged.track, row.track);
  override_by(merged.use_auto_whitelist, row.use_auto_whitelist);
  override_by(merged.auto_whitelist_period_s, row.auto_whitelist_period_s);
  override_by(merged.auto_whitelist_count, row.auto_whitelist_count);
  override_by(merged.auto_whitelist_percentage, row.auto_whitelist_percentage);
  override_by(merged.use_auto_blacklist, row.use_auto_blacklist);
  override_by(merged.auto_blacklist_period_s, row.auto_blacklist_period_s);
  override_by(merged.auto_blacklist_count, row.auto_blacklist_count);
  override_by(merged.auto_blacklist_percentage, row.auto_blacklist_percentage);
}

// The rows of all policies, later values over earlier ones; nullopt where there is none.
std::optional<GreylistingRow> merge(const RcptQuestion& question) {
  std::optional<GreylistingRow> merged;
  for (const std::uint32_t place : question.policies) {
    for (const GreylistingRow& row : question.rules.policies[place].greylisting) {
      if (merged) {
        override_by(*merged, row);
      } else {
        merged = row;
      }
    }
  }
  return merged;
}

// "1,3", to tell the admin which rows to look at.
std::string row_ids(const RcptQuestion& question) {
  std::string ids;
  for (const std::uint32_t place : question.policies) {
    for (const GreylistingRow& row : question.rules.policies[place].greylisting) {
      fmt::format_to(std::back_inserter(ids), "{}{}", ids.empty() ? "" : ",", row.id);
    }
  }
  return ids;
}

// What puts a track key on a list: so many triplets, and so many of them good (or bad), or so many
// percent of them.
struct Threshold {
  std::int64_t count;       // 0 or less: the list does not grow
  std::int64_t percentage;  // 0 or less: `count` of them

  [[nodiscard]] bool met(std::int64_t total, std::int64_t of_these) const {
    if (count <= 0 || total < count) return false;
    if (percentage <= 0) return of_these >= count;
    // As a product, since 29 / 100 * 100 is less than 29.
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

// One recipient, on its way through lists and triplets.
class Inquiry {
 public:
  Inquiry(const Request& request, const GreylistingRow& row, GreylistingTables& tables,
          std::chrono::sys_seconds now, bool training)
      : request_(request), row_(row), tables_(tables), now_(now), training_(training) {}

  Decision decide() {
    if (!row_.track) return {Kind::bad_row, "Track is not set"};
    if (!*row_.track) return {Kind::bad_row, row_.track->error().message};
    append_track_key(key_, **row_.track, request_);
    if (const auto decision = on_auto_whitelist()) return *decision;
    if (const auto decision = on_auto_blacklist()) return *decision;
    return triplet();
  }

 private:
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
      return Decision{Kind::bad_row, "UseAutoWhitelist is set, but AutoWhitelistPeriod is not"};
    }
    const auto seen = tables_.auto_whitelist_seen(key_);
    if (!seen || now_ - *seen > whitelist_period()) return std::nullopt;
    tables_.renew_auto_whitelist(key_, now_);
    return Decision{Kind::pass, "auto-whitelisted"};
  }

  std::optional<Decision> on_auto_blacklist() {
    if (!blacklists()) return std::nullopt;
    if (blacklist_period().count() <= 0) {
      return Decision{Kind::bad_row, "UseAutoBlacklist is set, but AutoBlacklistPeriod is not"};
    }
    const auto added = tables_.auto_blacklist_added(key_);
    if (!added || now_ - *added > blacklist_period()) return std::nullopt;
    return Decision{Kind::reject, "auto-blacklisted"};
  }

  Decision triplet() {
    std::optional<Triplet> triplet = tables_.find(key_, request_.sender, request_.recipient);
    if (!triplet) {
      if (becomes_blacklisted()) return {Kind::reject, "auto-blacklisted"};
      tables_.insert(key_, request_.sender, request_.recipient, now_);
      if (!training_) return {Kind::defer, "greylisted"};
      triplet = tables_.find(key_, request_.sender, request_.recipient);
      if (!triplet) return {};
    }
    const std::chrono::seconds period{row_.greylist_period_s.value_or(0)};
    if (!training_ && now_ - triplet->first_seen < period) {
      tables_.deferred(*triplet, now_);
      return {Kind::defer, "greylisted", triplet->tries + 1};
    }
    tables_.passed(*triplet, now_);
    if (becomes_whitelisted()) return {Kind::pass, "auto-whitelisted"};
    return {Kind::pass, training_ ? "training" : "authenticated"};
  }

  // Counted before the triplet that is asked about.
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

  // Counted with the triplet that is asked about.
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
  std::string key_;
};

bool is_whitelisted(const RcptQuestion& question) {
  const auto& rows = question.rules.greylisting_whitelist;
  return std::any_of(rows.begin(), rows.end(), [&](const WhitelistRow& row) {
    return row.network && row.network->contains(question.request.client_address);
  });
}

std::string_view action_of(Kind kind) {
  switch (kind) {
    case Kind::pass:
      return "pass";
    case Kind::reject:
      return "reject";
    case Kind::defer:
    case Kind::bad_row:
      break;
  }
  return "defer";
}

void log_decision(Question& question, const Decision& decision) {
  if (!question.log.mail_enabled()) return;
  const Request& request = question.request;
  std::string line = mail_line("Greylisting", fmt::format("action={}", action_of(decision.kind)),
                               request, request.recipient, decision.reason);
  if (decision.tries > 0) fmt::format_to(std::back_inserter(line), ", tries={}", decision.tries);
  question.log.mail(line);
}

}  // namespace

Next Greylisting::decide_rcpt(RcptQuestion& question) {
  const std::optional<GreylistingRow> row = merge(question);
  if (!row || row->use_greylisting.value_or(1) != 1) return Next::go_on;
  GreylistingTables* tables = question.store.greylisting();
  if (tables == nullptr) return Next::go_on;
  if (question.counted_before_crash) {  // it was let through
    question.verdict = {};
    return Next::go_on;
  }
  if (is_whitelisted(question)) return answer(question, {Kind::pass, "whitelisted"});
  const auto now = std::chrono::floor<std::chrono::seconds>(question.store.now());
  Inquiry inquiry{question.request, *row, *tables, now, settings_.training};
  const Decision decision = inquiry.decide();
  if (question.store.greylisting() == nullptr) return Next::go_on;  // they failed meanwhile
  return answer(question, decision);
}

// A pass, too, replaces what modules before have answered, as in CBPolicyD.
Next Greylisting::answer(RcptQuestion& question, const Decision& decision) {
  if (decision.kind == Kind::bad_row) {
    errors_.log(question, fmt::format("module=Greylisting, greylisting={}: {}", row_ids(question),
                                      decision.reason));
    question.verdict = {Action::defer, {}};
    return Next::stop;
  }
  log_decision(question, decision);
  switch (decision.kind) {
    case Kind::pass:
      question.verdict = {};
      return Next::go_on;
    case Kind::reject:
      question.verdict = {Action::reject, settings_.blacklist_message};
      return Next::stop;
    case Kind::defer:
    case Kind::bad_row:
      break;
  }
  question.verdict = {Action::defer, "451 4.7.1 " + settings_.defer_message};
  return Next::stop;
}

}  // namespace policyd
