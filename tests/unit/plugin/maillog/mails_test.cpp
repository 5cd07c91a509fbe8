// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/maillog/mails.hpp"

#include <gtest/gtest.h>

#include <ctime>
#include <vector>

namespace limits {
namespace {

std::vector<Names::Number> recipients_of(const Mails& mails, const LoggedMail& mail) {
  std::vector<Names::Number> out;
  mails.each_recipient(mail, [&](Names::Number name, bool) { out.push_back(name); });
  return out;
}

TEST(Mails, KeepsTheRecipientsOfEachMailOnceAndInOrder) {
  constexpr Names::Number kNames = 100;
  Mails mails;
  LoggedMail one;
  LoggedMail other;
  std::vector<Names::Number> all;
  for (Names::Number name = 1; name <= kNames; ++name) {
    mails.add_recipient(one, name);
    mails.add_recipient(other, kNames + 1 - name);
    all.push_back(name);
  }
  for (Names::Number name = 1; name <= kNames; ++name) mails.add_recipient(one, name);
  EXPECT_EQ(recipients_of(mails, one), all);
  EXPECT_EQ(recipients_of(mails, other), (std::vector<Names::Number>{all.rbegin(), all.rend()}));
}

TEST(Mails, TakesManyRecipientsAsFastAsFew) {
  const auto time_of = [](std::uint32_t recipients) {
    Mails mails;
    const std::clock_t begin = std::clock();
    for (std::uint32_t number = 0; number < 4 * Mails::kMaxRecipients; number += recipients) {
      LoggedMail mail;
      for (Names::Number name = 1; name <= recipients; ++name) mails.add_recipient(mail, name);
    }
    return std::clock() - begin;
  };
  time_of(100);
  EXPECT_LT(time_of(Mails::kMaxRecipients), 20 * time_of(100));  // it was more than 300 times
}

TEST(Mails, HasAtMostSoManyRecipientsOfAMail) {
  Mails mails;
  LoggedMail mail;
  for (Names::Number name = 1; name <= Mails::kMaxRecipients + 10; ++name) {
    mails.add_recipient(mail, name);
  }
  EXPECT_EQ(mail.recipients, Mails::kMaxRecipients);
  EXPECT_EQ(recipients_of(mails, mail).size(), Mails::kMaxRecipients);
}

}  // namespace
}  // namespace limits
