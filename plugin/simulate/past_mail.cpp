// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/simulate/past_mail.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>

#include "daemon/names/name_form.hpp"
#include "daemon/session/recipient_data.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/usage/headlines.hpp"

namespace limits {
namespace {

using policyd::TimePoint;
using policyd::sql::Statement;

constexpr std::size_t kRowsAtOnce = 5'000;             // between two the daemon may write
constexpr std::int64_t kLastSecond = 253'402'300'799;  // of the year 9999
constexpr std::chrono::hours kLongGap{24};

std::vector<std::string> notes_on_log(const ReadLog& log) {
  const MailReader::Counts& counts = log.counts;
  std::vector<std::string> out;
  for (const std::string& problem : log.problems) {
    out.push_back(fmt::format("{}; what comes before that was read", problem));
  }
  if (counts.unreadable > 0) {
    out.push_back(fmt::format("{} could not be read, such as '{}'",
                              counted(counts.unreadable, "line"), shown(counts.unreadable_line)));
  }
  if (counts.cut > 0) {
    out.push_back(fmt::format("{} longer than 64 KiB {} cut", counted(counts.cut, "line"),
                              of_number(counts.cut, "was", "were")));
  }
  if (counts.longest_gap >= kLongGap) {
    out.push_back(
        fmt::format("the log has no line for {:.1f} days from {}",
                    std::chrono::duration<double, std::ratio<86'400>>{counts.longest_gap}.count(),
                    local_time_text(counts.gap_begin)));
  }
  if (counts.backwards > 0) {
    out.push_back(fmt::format(
        "times go back {}, as when summer time ends or files overlap; mail was put in order",
        counts.backwards == 1 ? "once" : fmt::format("{} times", counts.backwards)));
  }
  if (counts.repeated > 0) {
    out.push_back(fmt::format(
        "{} in the log twice, as in a copy of a file, and counted once",
        counts.repeated == 1 ? "1 message is" : fmt::format("{} messages are", counts.repeated)));
  }
  if (counts.incomplete > 0) {
    out.push_back(fmt::format("{} left out, since the log names no sender or recipient of {}",
                              counts.incomplete == 1
                                  ? "1 message was"
                                  : fmt::format("{} messages were", counts.incomplete),
                              of_number(counts.incomplete, "it", "them")));
  }
  if (counts.forgotten > 0) {
    out.push_back(fmt::format("{} without an end {} forgotten",
                              counted(counts.forgotten, "queue ID"),
                              of_number(counts.forgotten, "was", "were")));
  }
  if (counts.too_many > 0) {
    out.push_back(fmt::format("{} beyond {} were left out", counted(counts.too_many, "message"),
                              Mails::kMaxMails));
  }
  return out;
}

// A row of session_tracking: a message that the daemon was asked about at its end.
void add_tracked(const Statement& row, Mails& mails) {
  LoggedMail mail;
  mail.time =
      TimePoint{std::chrono::seconds{std::clamp(row.integer(0), std::int64_t{0}, kLastSecond)}};
  mail.sender = mails.names.number_of(policyd::address_form(row.text(3)));
  if (!row.text(4).empty()) mail.login = mails.names.number_of(policyd::login_form(row.text(4)));
  mail.client = mails.names.number_of(row.text(5));
  constexpr std::int64_t kKib = 1024;
  constexpr std::int64_t kMaxSize = std::numeric_limits<std::uint32_t>::max();
  mail.size = static_cast<std::uint32_t>(
      std::clamp(row.integer(6), std::int64_t{0}, kMaxSize / kKib) * kKib);
  policyd::each_recipient(row.text(7), [&](std::string_view address, const auto&) {
    mails.add_recipient(mail, mails.names.number_of(policyd::address_form(address)));
  });
  mail.status = MailStatus::sent;
  mail.complete = true;
  if (mail.recipients != 0) mails.all.push_back(mail);
}

}  // namespace

double PastMail::days() const {
  return std::chrono::duration<double, std::ratio<86'400>>{last - first}.count();
}

Result<RefusalTexts> refusal_texts(const Tables& tables) {
  RefusalTexts out;
  auto done = tables.each("SELECT DISTINCT Data FROM {p}quotas WHERE Data IS NOT NULL", {},
                          [&](const Statement& row) { out.add(row.text(0)); });
  if (!done) return tl::unexpected{done.error()};
  return out;
}

PastMail past_mail(ReadLog log) {
  PastMail out;
  out.notes = notes_on_log(log);
  out.source = counted(log.files, "file");
  out.first = log.counts.first.value_or(TimePoint{});
  out.last = log.counts.last.value_or(TimePoint{});
  // What is older than --since was read, but is not counted.
  if (!log.mails.all.empty()) out.first = std::max(out.first, log.mails.all.front().time);
  out.lines = log.counts.lines;
  out.unreadable = log.counts.unreadable;
  out.mails = std::move(log.mails);
  return out;
}

Result<PastMail> past_mail(const Tables& tables, TimePoint since,
                           const std::function<bool()>& given_up, std::size_t max_rows) {
  PastMail out;
  out.of_log = false;
  out.source = "session_tracking";
  auto rows = tables.prepare(
      "SELECT UnixTimestamp, rowid, QueueID, Sender, SASLUsername, ClientAddress, Size, "
      "RecipientData FROM {p}session_tracking WHERE UnixTimestamp >= ?1 AND UnixTimestamp <= ?2 "
      "AND (UnixTimestamp < ?2 OR rowid < ?3) ORDER BY UnixTimestamp DESC, rowid DESC LIMIT ?4");
  if (!rows) return tl::unexpected{rows.error()};
  std::int64_t second = kLastSecond;
  std::int64_t id = std::numeric_limits<std::int64_t>::max();
  const std::int64_t from =
      std::chrono::ceil<std::chrono::seconds>(since.time_since_epoch()).count();
  for (bool more = true; more && out.lines < max_rows;) {
    const policyd::sql::Resetting resetting{*rows};
    rows->bind(1, from).bind(2, second).bind(3, id).bind(4, static_cast<std::int64_t>(kRowsAtOnce));
    std::size_t read = 0;
    int code = SQLITE_ROW;
    while ((code = rows->step()) == SQLITE_ROW) {
      ++read;
      second = rows->integer(0);
      id = rows->integer(1);
      if (!rows->text(2).empty()) add_tracked(*rows, out.mails);
    }
    if (code != SQLITE_DONE) return tl::unexpected{tables.error(code)};
    out.lines += read;
    more = read == kRowsAtOnce && !(given_up && given_up());
  }
  out.mails.sort();
  if (!out.mails.all.empty()) {
    out.first = out.mails.all.front().time;
    out.last = out.mails.all.back().time;
  }
  if (out.lines >= max_rows) {
    out.notes.push_back(
        fmt::format("only the newest {} rows of session_tracking were read", out.lines));
  }
  out.notes.emplace_back(
      "session_tracking has no mail that was refused for all its recipients, nor any from before "
      "the daemon ran or while it was paused; times are those of the first recipient, in seconds");
  return out;
}

}  // namespace limits
