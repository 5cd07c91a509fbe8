// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/events/history.hpp"

#include <algorithm>
#include <chrono>
#include <ctime>

#include "daemon/names/name_form.hpp"
#include "daemon/session/recipient_data.hpp"
#include "plugin/events/read_events.hpp"
#include "plugin/events/since.hpp"

namespace limits {
namespace {

using policyd::TimePoint;

// So many rows are read at once; between them the daemon may truncate its write-ahead log.
constexpr std::size_t kSlice = 5'000;
// A column may hold anything: later ones are no times of mail, nor printable.
constexpr std::int64_t kLatestSecond = 253'402'300'799;  // of the year 9999
constexpr std::size_t kMaxSteps = 10'000;                // of over_time

// By the index of UnixTimestamp. Rows without a QueueID are of messages that have not ended.
constexpr std::string_view kMessages =
    "SELECT UnixTimestamp, rowid, QueueID, Sender, SASLUsername, ClientAddress, ClientName, Size, "
    "RecipientData FROM {p}session_tracking WHERE UnixTimestamp >= ?1 AND UnixTimestamp <= ?2 "
    "AND (UnixTimestamp < ?2 OR rowid < ?3) ORDER BY UnixTimestamp DESC, rowid DESC LIMIT ?4";

TimePoint time_at(std::int64_t seconds) { return TimePoint{std::chrono::seconds{seconds}}; }

// Adds up what it is given, the newest first.
class Adder {
 public:
  Adder(History& into, const SentBy& who, const HistoryQuestion& question)
      : into_(into), who_(who), question_(question) {}

  void message(const policyd::sql::Statement& row) {
    if (row.text(2).empty() || !who_.is(row.text(3), row.text(4), row.text(5))) return;
    SentMessage sent;
    policyd::each_recipient(row.text(8), [&](std::string_view address, const auto&) {
      if (sent.recipients++ == 0) sent.recipient = cut(address);
    });
    sent.at = time_at(row.integer(0));
    sent.kib = static_cast<std::uint64_t>(std::max(row.integer(7), std::int64_t{0}));
    const std::string_view name = row.text(6) == "unknown" ? std::string_view{} : row.text(6);
    add({1, sent.recipients, sent.kib, 0, sent.at, sent.at}, row.text(3), row.text(4), row.text(5),
        name);
    if (into_.latest.size() >= question_.latest) return;
    sent.queue_id = cut(row.text(2));
    sent.sender = cut(row.text(3));
    sent.login = cut(row.text(4));
    sent.client = cut(row.text(5));
    into_.latest.push_back(std::move(sent));
  }

  void refusal(const policyd::Event& event) {
    add({0, 0, 0, event.times, event.first, event.last}, event.sender, event.login, event.client,
        {});
  }

 private:
  static std::string_view cut(std::string_view text) {
    return policyd::cut(text, policyd::Event::kMaxText);
  }

  void add(const Tally& tally, std::string_view sender, std::string_view login,
           std::string_view client, std::string_view client_name) {
    into_.all.add(tally);
    if (Tally* step = step_of(tally.last)) step->add(tally);
    const auto address = policyd::IpAddress::parse(client);
    into_.clients.add(address ? address->to_short_string() : std::string{cut(client)}, tally,
                      cut(client_name));
    into_.senders.add(cut(who_.sender_form(sender)), tally);
    into_.logins.add(cut(policyd::login_form(login)), tally);
  }

  Tally* step_of(TimePoint time) {
    const TimePoint begin = question_.by_day ? midnight(time) : hour_of(time);
    const auto found = into_.over_time.find(begin);
    if (found != into_.over_time.end()) return &found->second;
    return into_.over_time.size() < kMaxSteps ? &into_.over_time[begin] : nullptr;
  }

  History& into_;
  const SentBy& who_;
  const HistoryQuestion& question_;
};

Result<void> read_messages(const Tables& tables, const HistoryQuestion& question, Adder& adder,
                           History& into) {
  auto rows = tables.prepare(kMessages);
  if (!rows) return tl::unexpected{rows.error()};
  const std::int64_t since =
      std::chrono::ceil<std::chrono::seconds>(question.since.time_since_epoch()).count();
  std::int64_t second = kLatestSecond;
  std::int64_t id = std::numeric_limits<std::int64_t>::max();
  for (std::size_t left = question.max_rows; left > 0;) {
    const std::size_t slice = std::min(kSlice, left);
    const policyd::sql::Resetting resetting{*rows};
    rows->bind(1, since).bind(2, second).bind(3, id).bind(4, static_cast<std::int64_t>(slice));
    std::size_t read = 0;
    int code = SQLITE_ROW;
    while ((code = rows->step()) == SQLITE_ROW) {
      ++read;
      second = rows->integer(0);
      id = rows->integer(1);
      adder.message(*rows);
    }
    if (code != SQLITE_DONE) return tl::unexpected{tables.error(code)};
    if (read < slice) return {};
    left -= read;
  }
  into.read_since = time_at(second);
  return {};
}

}  // namespace

void Tally::add(const Tally& other) {
  messages += other.messages;
  recipients += other.recipients;
  kib += other.kib;
  refused += other.refused;
  first = std::min(first, other.first);
  last = std::max(last, other.last);
}

void Tallies::add(std::string_view name, const Tally& tally, std::string_view detail) {
  std::string key{name};
  auto found = by_name_.find(key);
  if (found == by_name_.end()) {
    if (by_name_.size() == kMax) {
      more_ = true;
      return;
    }
    found = by_name_.try_emplace(std::move(key)).first;
  }
  found->second.tally.add(tally);
  if (found->second.detail.empty()) found->second.detail = detail;
}

std::vector<Tallies::Named> Tallies::sorted() const {
  std::vector<Named> out(by_name_.begin(), by_name_.end());
  const auto rank = [](const Named& named) {
    const Tally& tally = named.second.tally;
    return std::pair{tally.messages + tally.refused, tally.recipients};
  };
  std::sort(out.begin(), out.end(), [&](const Named& a, const Named& b) {
    return rank(a) != rank(b) ? rank(a) > rank(b) : a.first < b.first;
  });
  return out;
}

Result<History> read_history(const Tables& tables, const SentBy& who,
                             const HistoryQuestion& question) {
  History out;
  Adder adder{out, who, question};
  if (auto done = read_messages(tables, question, adder, out); !done) {
    return tl::unexpected{done.error()};
  }
  EventFilter filter;
  filter.kinds = {policyd::EventKind::refused};
  filter.since = question.since;
  auto done = each_event(tables, filter, [&](StoredEvent&& stored) {
    if (who.is(stored.event)) adder.refusal(stored.event);
    return true;
  });
  if (!done) return tl::unexpected{done.error()};
  const auto oldest = policyd::sql::first_integer(
      tables.db, "SELECT min(UnixTimestamp) FROM {p}session_tracking WHERE UnixTimestamp >= 0",
      tables.prefix);
  if (oldest && *oldest > 0) out.kept_since = time_at(std::min(*oldest, kLatestSecond));
  return out;
}

void read_deliveries(const DeliveryLog& log, History& into,
                     const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
  std::vector<std::string> ids;
  ids.reserve(into.latest.size());
  for (const SentMessage& sent : into.latest) ids.push_back(sent.queue_id);
  auto found = log.deliveries_of(ids, progress);
  for (SentMessage& sent : into.latest) {
    const auto deliveries = found.by_id.find(sent.queue_id);
    if (deliveries != found.by_id.end()) sent.became = deliveries->second;
  }
  into.mail_log_problem = std::move(found.problem);
}

}  // namespace limits
