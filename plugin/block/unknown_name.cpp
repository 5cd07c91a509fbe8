// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/block/unknown_name.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "daemon/base/did_you_mean.hpp"
#include "daemon/base/mail_address.hpp"
#include "daemon/names/name_form.hpp"
#include "plugin/block/sent_mail.hpp"
#include "plugin/events/read_events.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

constexpr std::chrono::days kLately{30};
constexpr std::size_t kMaxNames = 100'000;

bool is_like(std::string_view a, std::string_view b) {
  return a == b || policyd::nearest(a, std::span{&b, 1});
}

// Each half by itself: "bob@example.org" is much like "eva@example.org" as a whole.
bool is_like_account(std::string_view a, std::string_view b) {
  const std::string_view domain = policyd::domain_of(a);
  const std::string_view other = policyd::domain_of(b);
  return is_like(policyd::local_part_of(a), policyd::local_part_of(b)) &&
         (domain.empty() || other.empty() || is_like(domain, other));
}

// The accounts that have sent, each once.
class Senders {
 public:
  explicit Senders(const OwnNames& own) : own_(own), login_domain_(own.login_domain()) {}

  void add(std::string_view sender, std::string_view login) {
    any_ = true;
    if (!login.empty()) put(account_of(policyd::login_form(login)));
    std::string name = policyd::login_form(sender);
    if (own_.has_domain(policyd::domain_of(name))) put(std::move(name));
  }
  [[nodiscard]] bool any() const { return any_; }
  [[nodiscard]] std::optional<std::string> like(const std::string& name_of_who) const {
    const std::string who = account_of(name_of_who);
    std::vector<std::string_view> alike;
    for (const std::string& name : names_) {
      if (is_like_account(who, name)) alike.push_back(name);
    }
    std::sort(alike.begin(), alike.end());
    const auto found = policyd::nearest(who, alike);
    return found ? std::optional{std::string{*found}} : std::nullopt;
  }

 private:
  [[nodiscard]] std::string account_of(std::string name) const {
    const bool short_login = name.find('@') == std::string::npos && !login_domain_.empty();
    return short_login ? fmt::format("{}@{}", name, login_domain_) : name;
  }
  void put(std::string&& name) {
    if (names_.size() < kMaxNames) names_.insert(std::move(name));
  }

  const OwnNames& own_;
  std::string login_domain_;
  std::unordered_set<std::string> names_;
  bool any_ = false;
};

}  // namespace

Result<std::string> unknown_name_note(const Tables& tables, const SentBy& who, const OwnNames& own,
                                      policyd::TimePoint now) {
  Senders senders{own};
  bool known = false;
  const auto follow = [&](std::string_view sender, std::string_view login) {
    known = known || who.is(sender, login, {});
    if (!known) senders.add(sender, login);
  };
  EventFilter filter;
  filter.kinds = {policyd::EventKind::refused};
  filter.since = now - kLately;
  auto done = each_event(tables, filter, [&](StoredEvent&& stored) {
    follow(stored.event.sender, stored.event.login);
    return !known;
  });
  if (!done) return tl::unexpected{done.error()};
  if (!known && tables.has_table("session_tracking")) {
    const auto since = std::chrono::floor<std::chrono::seconds>(*filter.since).time_since_epoch();
    done = tables.each(
        "SELECT Sender, SASLUsername FROM {p}session_tracking WHERE UnixTimestamp >= ? ORDER BY "
        "UnixTimestamp DESC LIMIT ?",
        {std::int64_t{since.count()}, SentMail::kMaxRows},
        [&](const policyd::sql::Statement& row) { follow(row.text(0), row.text(1)); });
    if (!done) return tl::unexpected{done.error()};
  }
  if (known || !senders.any()) return std::string{};
  const auto like = senders.like(who.name());
  return fmt::format("{} has sent nothing in the last 30 days, and nothing of it was refused; {}",
                     shown(who.name()),
                     like ? fmt::format("did you mean {}?", escaped(*like)) : "check the name.");
}

}  // namespace limits
