// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/maillog/mails.hpp"

#include <algorithm>
#include <functional>
#include <tuple>
#include <utility>

namespace limits {
namespace {

constexpr Names::Number kMaxNumber = 0x7fffffff;
constexpr std::uint32_t kSearched = 16;  // recipients of a mail; those after them have an index

std::uint32_t tag_of(std::uint32_t first_recipient, Names::Number recipient) {
  constexpr std::uint64_t kOdd = 0x9e3779b97f4a7c15;
  const std::uint64_t key = (std::uint64_t{first_recipient} << 32U) | recipient;
  return policyd::HashIndex::tag_of(key * kOdd);
}

}  // namespace

Names::Number Names::number_of(std::string_view given) {
  const std::string_view wanted = given.substr(0, kMaxText);
  const std::uint32_t tag = policyd::HashIndex::tag_of(std::hash<std::string_view>{}(wanted));
  const std::uint32_t known =
      index_.find(tag, [&](std::uint32_t number) { return text(number) == wanted; });
  if (known != policyd::HashIndex::kNone) return known;
  const auto number = static_cast<Number>(begins_.size() - 1);
  bytes_ += wanted;
  begins_.push_back(bytes_.size());
  index_.insert(tag, number);
  return number;
}

void Mails::add_recipient(LoggedMail& mail, Names::Number recipient, bool refused) {
  if (mail.recipients >= kMaxRecipients || has_recipient(mail, recipient)) return;
  const auto added = static_cast<std::uint32_t>(recipients_.size());
  Recipient& made = recipients_.emplace_back();
  made.name = recipient & kMaxNumber;
  made.refused = refused ? 1 : 0;
  (mail.recipients == 0 ? mail.first_recipient : recipients_[mail.last_recipient].next) = added;
  mail.last_recipient = added;
  if (++mail.recipients <= kSearched) return;
  index_.insert(tag_of(mail.first_recipient, recipient), static_cast<std::uint32_t>(known_.size()));
  known_.push_back({mail.first_recipient, recipient});
}

bool Mails::has_recipient(const LoggedMail& mail, Names::Number recipient) const {
  std::uint32_t at = mail.first_recipient;
  for (std::uint32_t i = 0; i < kSearched && at != 0; ++i, at = recipients_[at].next) {
    if (recipients_[at].name == recipient) return true;
  }
  if (at == 0) return false;
  return index_.find(tag_of(mail.first_recipient, recipient), [&](std::uint32_t slot) {
    return known_[slot].first_recipient == mail.first_recipient && known_[slot].name == recipient;
  }) != policyd::HashIndex::kNone;
}

void Mails::sort() {
  std::stable_sort(all.begin(), all.end(),
                   [](const LoggedMail& a, const LoggedMail& b) { return a.time < b.time; });
}

std::size_t Mails::count_once() {
  std::size_t out = 0;
  std::vector<LoggedMail*> of_moment;
  const auto mail_of = [](const LoggedMail* mail) { return std::pair{mail->id, mail->client}; };
  for (auto next = all.begin(); next != all.end();) {
    const policyd::TimePoint moment = next->time;
    of_moment.clear();
    for (; next != all.end() && next->time == moment; ++next) {
      if (next->counts) of_moment.push_back(&*next);
    }
    std::sort(of_moment.begin(), of_moment.end(), [&](const LoggedMail* a, const LoggedMail* b) {
      if (mail_of(a) != mail_of(b)) return mail_of(a) < mail_of(b);
      return std::tuple{a->complete, a->recipients, a} > std::tuple{b->complete, b->recipients, b};
    });
    for (std::size_t i = 1; i < of_moment.size(); ++i) {
      if (mail_of(of_moment[i]) != mail_of(of_moment[i - 1])) continue;
      of_moment[i]->counts = false;
      ++out;
    }
  }
  return out;
}

}  // namespace limits
