// SPDX-License-Identifier: AGPL-3.0-only
// The mails that a log tells of, in little memory: 40 bytes a mail, 8 a recipient, and each name
// once. Names are in the daemon's form (daemon/names/name_form.hpp).
#pragma once

#include <cstdint>
#include <deque>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/base/hash_index.hpp"

namespace limits {

// Texts by number. Number 0 is the empty one.
class Names {
 public:
  using Number = std::uint32_t;  // up to 2^31: a log has fewer names than bytes of memory
  static constexpr std::size_t kMaxText = 512;  // longer ones are cut, as no address is

  Names() { number_of({}); }
  Number number_of(std::string_view given);
  [[nodiscard]] std::string_view text(Number number) const {
    return {bytes_.data() + begins_[number], begins_[number + 1] - begins_[number]};
  }
  [[nodiscard]] std::size_t size() const { return begins_.size() - 1; }

 private:
  std::string bytes_;
  std::vector<std::uint64_t> begins_{0};
  policyd::HashIndex index_;
};

enum class MailStatus : std::uint8_t { unknown, sent, deferred, bounced, refused };

struct LoggedMail {
  policyd::TimePoint time{};
  Names::Number login = 0;   // 0: none
  Names::Number sender = 0;  // 0: a bounce, or unknown
  Names::Number client = 0;
  std::uint32_t size = 0;             // bytes; 4 GiB is the most
  std::uint32_t first_recipient = 0;  // 0: none
  std::uint32_t last_recipient = 0;
  std::uint32_t id = 0;  // of host and queue ID
  std::uint16_t recipients = 0;
  MailStatus status = MailStatus::unknown;  // the worst of its recipients'
  bool counts : 1 = true;                   // false: came again from a content filter
  bool complete : 1 = false;                // its sender and a recipient are known
  bool shared : 1 = false;                  // more than its queue ID leads to it
};
static_assert(sizeof(LoggedMail) == 40);

class Mails {
 public:
  static constexpr std::size_t kMaxMails = 20'000'000;
  static constexpr std::uint16_t kMaxRecipients = 10'000;  // of a mail, as in the daemon

  Names names;  // senders, logins, clients and recipients
  std::vector<LoggedMail> all;

  // Unless it has it already. `refused`: by this product's limits.
  void add_recipient(LoggedMail& mail, Names::Number recipient, bool refused = false);
  // Calls visit(number of name, refused) for each, in the order of add_recipient.
  template <typename Visit>
  void each_recipient(const LoggedMail& mail, Visit visit) const {
    for (std::uint32_t at = mail.first_recipient; at != 0; at = recipients_[at].next) {
      visit(recipients_[at].name, recipients_[at].refused != 0);
    }
  }
  // By time; of the same moment in the order of the log.
  void sort();
  // Of what two files tell of the same mail, only the one that says more counts from now on.
  // Returns of how many mails the other does not. After sort().
  std::size_t count_once();

 private:
  struct Recipient {
    std::uint32_t name : 31 = 0;
    std::uint32_t refused : 1 = 0;
    std::uint32_t next = 0;
  };
  // A recipient of a mail with so many that a search one by one would take long.
  struct Known {
    std::uint32_t first_recipient = 0;  // of the mail
    Names::Number name = 0;
  };
  [[nodiscard]] bool has_recipient(const LoggedMail& mail, Names::Number recipient) const;

  std::vector<Recipient> recipients_{Recipient{}};
  std::vector<Known> known_;
  policyd::HashIndex index_;  // of known_
};

}  // namespace limits
