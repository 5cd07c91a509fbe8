// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/maillog/mails.hpp"

#include <algorithm>
#include <functional>

namespace limits {
namespace {

constexpr Names::Number kMaxNumber = 0x7fffffff;

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
  if (mail.recipients >= kMaxRecipients) return;
  std::uint32_t last = 0;
  for (std::uint32_t at = mail.first_recipient; at != 0; at = recipients_[at].next) {
    if (recipients_[at].name == recipient) return;
    last = at;
  }
  const auto added = static_cast<std::uint32_t>(recipients_.size());
  Recipient& made = recipients_.emplace_back();
  made.name = recipient & kMaxNumber;
  made.refused = refused ? 1 : 0;
  (last == 0 ? mail.first_recipient : recipients_[last].next) = added;
  ++mail.recipients;
}

void Mails::sort() {
  std::stable_sort(all.begin(), all.end(),
                   [](const LoggedMail& a, const LoggedMail& b) { return a.time < b.time; });
}

}  // namespace limits
