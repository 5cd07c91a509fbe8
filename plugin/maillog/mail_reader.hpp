// SPDX-License-Identifier: AGPL-3.0-only
// From lines of Postfix's log to the mails that the policy daemon was, or would have been, asked
// about. A mail is one that smtpd received; lines with its queue ID say the rest. What comes back
// from a content filter has a new queue ID, but the same Message-ID and sender as a mail from
// elsewhere that is in the queue, and comes from this host itself, or the filter has named its
// queue ID: it is not counted again. What this product's limits refused is
// mail that was wanted, too. In bounded memory: of queue IDs that never end the oldest are
// forgotten.
#pragma once

#include <boost/noncopyable.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/base/lru_table.hpp"
#include "plugin/maillog/log_lines.hpp"
#include "plugin/maillog/log_stamp.hpp"
#include "plugin/maillog/mails.hpp"
#include "plugin/maillog/postfix_line.hpp"

namespace limits {

// How this product's answers begin, as the log has them after "rejected: ".
class RefusalTexts {
 public:
  RefusalTexts();  // those of `send` and `receive`, the article's and the daemon's own
  // Data of a limit's row; what follows a placeholder may be anything.
  void add(std::string_view data);
  [[nodiscard]] bool are_ours(std::string_view refusal) const;

 private:
  std::vector<std::string> beginnings_;
};

// A recipient whom a mail did not reach and never will: it bounced, or Postfix has refused it
// because there is no such recipient. Views, until the call returns; empty if unknown.
struct Bounce {
  policyd::TimePoint time{};
  std::string_view client;
  std::string_view login;
  std::string_view sender;
  std::string_view recipient;
};

class MailReader : boost::noncopyable {
 public:
  static constexpr std::size_t kMaxOpen = 100'000;  // queue IDs that are remembered
  static constexpr std::size_t kMaxShown = 200;     // bytes of a line that cannot be read

  struct Counts {
    std::uint64_t lines = 0;
    std::uint64_t postfix = 0;     // of these, from programs of Postfix
    std::uint64_t unreadable = 0;  // without a time or a program
    std::uint64_t cut = 0;         // longer than LogLines::kMaxLine
    std::uint64_t refused = 0;     // mails that this product's limits refused
    std::uint64_t incomplete = 0;  // mails without a line that names a sender and a recipient
    std::uint64_t reinjected = 0;  // mails that came again from a content filter
    std::uint64_t forgotten = 0;   // queue IDs beyond kMaxOpen that had not ended
    std::uint64_t backwards = 0;   // times that go back by more than a minute
    std::uint64_t repeated = 0;    // mails that were told of before, as by a copy of the file
    std::uint64_t too_many = 0;    // mails beyond Mails::kMaxMails
    std::string unreadable_line;   // the first of them
    std::optional<policyd::TimePoint> first, last;
    std::chrono::seconds longest_gap{0};  // an hour or more between two lines
    policyd::TimePoint gap_begin{};
  };

  MailReader(policyd::TimePoint since, RefusalTexts texts)
      : since_(since), texts_(std::move(texts)) {}

  // A mail that is still in a queue where reading ends, for the reader of what the log gets later.
  struct Waiting {
    std::uint64_t key = 0;
    std::uint64_t message_id = 0;
    bool from_loopback = false;
    bool again = false;
    std::string client;
    std::string login;
    std::string sender;

    bool operator==(const Waiting&) const = default;
  };
  // The newest, oldest first.
  [[nodiscard]] std::vector<Waiting> waiting(std::size_t max) const;
  // Before anything is read.
  void resume(const std::vector<Waiting>& waiting);
  void on_bounce(std::function<void(const Bounce&)> take) { take_bounce_ = std::move(take); }

  // The lines of one file, or of standard input, after those of older files.
  // Calls `progress` now and then, and ends where it returns false.
  void read(LogLines& lines, LogStamps stamps, const std::function<bool()>& progress = {});
  void read_line(std::string_view line, LogStamps& stamps);

  [[nodiscard]] const Counts& counts() const { return counts_; }
  // By time, without those that are not counted or of which too little is known. Once, at the end.
  Mails take();

 private:
  // A mail that is in a queue.
  struct Open {
    std::uint64_t key = 0;         // of host and queue ID
    std::uint64_t message_id = 0;  // 0: none yet
    std::uint32_t mail = kNoMail;
    bool from_loopback = false;
    bool again = false;      // `mail` is the one that went to a content filter
    bool undecided = false;  // it may be, once its sender is known
    bool ended = false;      // removed from the queue
  };
  struct OpenMessage {
    std::uint64_t message_id = 0;
    std::uint32_t mail = kNoMail;  // the newest
    std::uint32_t in_queue = 0;    // mails with it, apart from those that came again
  };
  // Lines of refusals do not name the login in older versions of Postfix: it is that of the last
  // mail of this sender from there.
  struct KnownLogin {
    Names::Number client = 0;
    Names::Number sender = 0;
    Names::Number login = 0;
  };
  // The times of the first and of the last line in it.
  struct Hour {
    policyd::TimePoint first{};
    policyd::TimePoint last{};
  };
  using Hours = std::map<std::chrono::sys_time<std::chrono::hours>, Hour>;
  static constexpr std::size_t kMaxHours = 100'000;
  static constexpr std::uint32_t kNoMail = std::numeric_limits<std::uint32_t>::max();

  void take_time(policyd::TimePoint time);
  void count_hours();
  void take_event(std::string_view host, const PostfixLine& line, policyd::TimePoint time);
  void begin(std::uint64_t key, const PostfixLine& line, policyd::TimePoint time);
  void take_message_id(Open& open, std::string_view message_id);
  static bool is_in_queue(const OpenMessage* message);
  bool is_joined(Open& open);
  OpenMessage* find_message(std::uint64_t id);
  void put_in_queue(std::uint64_t id, std::uint32_t mail);
  void remember_login(const LoggedMail& mail);
  KnownLogin* known_login(Names::Number client, Names::Number sender);
  void take_refusal(std::uint64_t key, Open* open, const PostfixLine& line,
                    policyd::TimePoint time);
  void tell_bounce(const LoggedMail& mail, const PostfixLine& line, policyd::TimePoint time) const;
  void tell_unknown(const LoggedMail* mail, const PostfixLine& line, policyd::TimePoint time);
  void take_delivery(Open& open, const PostfixLine& line);
  std::uint32_t new_mail(std::uint64_t key, const PostfixLine& line, policyd::TimePoint time);
  std::uint64_t key_of_mail(std::string_view host, std::string_view queue_id);
  Open* find(std::uint64_t key);
  void join(Open& again, std::uint32_t first);
  void end(Open& open);
  LoggedMail* mail_of(const Open& open) {
    return open.mail == kNoMail ? nullptr : &mails_.all[open.mail];
  }
  [[nodiscard]] std::string name(Names::Number number) const {
    return std::string{mails_.names.text(number)};
  }

  policyd::TimePoint since_;
  RefusalTexts texts_;
  std::function<void(const Bounce&)> take_bounce_;
  std::string host_;  // of the last line
  std::uint64_t host_key_ = 0;
  Counts counts_;
  policyd::TimePoint latest_{};  // of the part that is read
  Hours hours_;
  Hours::iterator hour_ = hours_.end();  // of the last line
  std::size_t files_ = 0;
  Mails mails_;
  policyd::LruTable<Open> open_;
  policyd::LruTable<KnownLogin> logins_;
  policyd::LruTable<OpenMessage> messages_;  // in a queue, by Message-ID
};

}  // namespace limits
