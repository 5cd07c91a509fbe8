// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/maillog/mail_reader.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <limits>

#include "daemon/names/name_form.hpp"

namespace limits {
namespace {

using policyd::TimePoint;

constexpr std::uint64_t kProgressEvery = 4'096;  // lines

std::uint64_t hash_of(std::string_view text) { return std::hash<std::string_view>{}(text); }

std::uint64_t key_of(Names::Number client, Names::Number sender) {
  constexpr std::uint64_t kOdd = 0x9e3779b97f4a7c15;
  const std::uint64_t mixed = ((std::uint64_t{client} << 32U) | sender) * kOdd;
  return mixed ^ (mixed >> 32U);
}

bool is_bounce(std::string_view status) { return status == "bounced" || status == "expired"; }

// "550 5.1.1 <x@example.com>: Recipient address rejected: User unknown in ...".
bool names_no_recipient(std::string_view refusal) {
  constexpr std::size_t kCode = 4;  // "550 "
  return refusal.starts_with('5') && refusal.size() > kCode &&
         refusal.substr(kCode).starts_with("5.1.") &&
         refusal.find(": Recipient address rejected: ") != std::string_view::npos;
}

}  // namespace

RefusalTexts::RefusalTexts()
    : beginnings_{"Too many messages sent",       "Too many messages received",
                  "Too much data sent",           "Too much data received",
                  "Deferring: Too many messages", "Rejecting: Too many messages",
                  "Policy rejection; Message",    "Deferring: Too much",
                  "Rejecting: Too much",          "Too many recipients: the limit",
                  "Message too large: the limit", "Policy rejection; Too many recipients"} {}

void RefusalTexts::add(std::string_view data) {
  constexpr std::size_t kTelling = 4;  // fewer letters could be any answer
  const std::string_view begin = data.substr(0, data.find('{'));
  if (begin.size() < kTelling) return;
  const auto known = std::find(beginnings_.begin(), beginnings_.end(), begin);
  if (known == beginnings_.end()) beginnings_.emplace_back(begin);
}

// "450 4.7.1 <bob@example.org>: Recipient address rejected: TEXT". TEXT begins after one of the ":
// ".
bool RefusalTexts::are_ours(std::string_view refusal) const {
  for (std::size_t at = refusal.find(": "); at != std::string_view::npos;
       at = refusal.find(": ", at + 2)) {
    const std::string_view text = refusal.substr(at + 2);
    if (std::any_of(beginnings_.begin(), beginnings_.end(),
                    [&](const std::string& begin) { return text.starts_with(begin); })) {
      return true;
    }
  }
  return false;
}

void MailReader::read(LogLines& lines, LogStamps stamps, const std::function<bool()>& progress) {
  ++files_;
  while (const auto line = lines.next()) {
    read_line(*line, stamps);
    if (progress && counts_.lines % kProgressEvery == 0 && !progress()) break;
  }
  counts_.cut += lines.cut_lines();
}

void MailReader::read_line(std::string_view line, LogStamps& stamps) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (line.empty()) return;
  ++counts_.lines;
  const auto stamp = stamps.parse(line);
  const SyslogLine parts = stamp ? parse_syslog(line.substr(stamp->size)) : SyslogLine{};
  if (parts.program.empty()) {
    if (counts_.unreadable++ == 0) counts_.unreadable_line = line.substr(0, kMaxShown);
    return;
  }
  take_time(stamp->time);
  if (!is_postfix(parts.program)) return;
  ++counts_.postfix;
  const PostfixLine postfix = parse_postfix(parts.program, parts.text);
  if (postfix.event != PostfixEvent::none) take_event(parts.host, postfix, stamp->time);
}

void MailReader::take_time(TimePoint time) {
  constexpr std::chrono::minutes kSlack{1};  // several hosts, and processes of one
  const bool back = time < latest_ - kSlack;
  if (back) ++counts_.backwards;
  if (back || time > latest_) latest_ = time;
  const auto hour = std::chrono::floor<std::chrono::hours>(time);
  if (hour_ == hours_.end() || hour_->first != hour) {
    const auto found = hours_.find(hour);
    if (found == hours_.end() && hours_.size() == kMaxHours) return;
    hour_ = found != hours_.end() ? found : hours_.emplace(hour, Hour{time, time}).first;
  }
  hour_->second.first = std::min(hour_->second.first, time);
  hour_->second.last = std::max(hour_->second.last, time);
}

// Whatever the order of the files.
void MailReader::count_hours() {
  if (hours_.empty()) return;
  counts_.first = hours_.begin()->second.first;
  counts_.last = hours_.rbegin()->second.last;
  TimePoint before = *counts_.first;
  for (const auto& [hour, times] : hours_) {
    const auto gap = std::chrono::duration_cast<std::chrono::seconds>(times.first - before);
    if (gap > counts_.longest_gap) {
      counts_.longest_gap = gap;
      counts_.gap_begin = before;
    }
    before = times.last;
  }
}

// Of a queue ID on a host, since hosts give the same ones.
std::uint64_t MailReader::key_of_mail(std::string_view host, std::string_view queue_id) {
  constexpr std::uint64_t kOdd = 0x9e3779b97f4a7c15;
  if (host != host_) {
    host_ = host;
    host_key_ = (hash_of(host) + 1) * kOdd;
  }
  return host_key_ ^ hash_of(queue_id);
}

MailReader::Open* MailReader::find(std::uint64_t key) {
  return open_.find(key, [key](const Open& open) { return open.key == key; });
}

std::uint32_t MailReader::new_mail(std::uint64_t key, const PostfixLine& line, TimePoint time) {
  if (time < since_) return kNoMail;
  if (mails_.all.size() >= Mails::kMaxMails) {
    ++counts_.too_many;
    return kNoMail;
  }
  LoggedMail mail;
  mail.time = time;
  mail.id = static_cast<std::uint32_t>(key ^ (key >> 32U));
  mail.client = mails_.names.number_of(line.client);
  if (!line.login.empty()) mail.login = mails_.names.number_of(policyd::login_form(line.login));
  mails_.all.push_back(mail);
  return static_cast<std::uint32_t>(mails_.all.size() - 1);
}

void MailReader::begin(std::uint64_t key, const PostfixLine& line, TimePoint time) {
  Open* open = find(key);
  if (open == nullptr) {
    if (open_.size() >= kMaxOpen) {
      if (!open_.oldest().ended) ++counts_.forgotten;
      open_.drop_oldest();
    }
    open = &open_.add(key);
  }
  end(*open);  // short queue IDs are given again
  *open = {};
  open->key = key;
  if (line.event == PostfixEvent::local) return;  // nobody asks about mail of the sendmail program
  open->from_loopback = is_loopback(line.client) && line.login.empty();
  open->mail = new_mail(key, line, time);
}

void MailReader::take_event(std::string_view host, const PostfixLine& line, TimePoint time) {
  const std::uint64_t key = key_of_mail(host, line.queue_id);
  if (line.event == PostfixEvent::received || line.event == PostfixEvent::local) {
    return begin(key, line, time);
  }
  if (line.event == PostfixEvent::refused) {
    Open* const refused = line.queue_id == "NOQUEUE" ? nullptr : find(key);
    if (take_bounce_) tell_unknown(refused == nullptr ? nullptr : mail_of(*refused), line, time);
    return take_refusal(key, refused, line, time);
  }
  Open* open = find(key);
  if (open == nullptr) return;  // it began before the log, or is a notice of Postfix's own
  LoggedMail* mail = mail_of(*open);
  switch (line.event) {
    case PostfixEvent::message_id:
      return take_message_id(*open, line.message_id);
    case PostfixEvent::queued:
      if (mail == nullptr || mail->complete) return;
      mail->sender = mails_.names.number_of(policyd::address_form(line.sender));
      if (std::exchange(open->undecided, false) && is_joined(*open)) return;
      mail->size = static_cast<std::uint32_t>(
          std::min<std::uint64_t>(line.size, std::numeric_limits<std::uint32_t>::max()));
      mail->complete = true;
      remember_login(*mail);
      return;
    case PostfixEvent::delivered:
      take_delivery(*open, line);
      if (take_bounce_ && mail != nullptr) tell_bounce(*mail, line, time);
      // The filter's mail, if its Message-ID did not tell, or not rightly.
      if (!line.queued_as.empty()) {
        const std::uint32_t first = open->mail;
        Open* filtered = find(key_of_mail(host, line.queued_as));
        if (filtered != nullptr && filtered->from_loopback && filtered->mail != first) {
          join(*filtered, first);
        }
      }
      return;
    case PostfixEvent::removed:
      open->ended = true;
      return end(*open);
    default:
      return;
  }
}

void MailReader::take_message_id(Open& open, std::string_view message_id) {
  constexpr std::string_view kNone = "<>";
  if (message_id.empty() || message_id == kNone || open.message_id != 0 || open.again) return;
  const std::uint64_t hash = hash_of(message_id) | 1;
  open.message_id = hash;
  open.undecided = open.from_loopback && is_in_queue(find_message(hash));
  if (!open.undecided) put_in_queue(hash, open.mail);
}

bool MailReader::is_in_queue(const OpenMessage* message) {
  return message != nullptr && message->in_queue > 0;
}

// Whoever sends from this host itself may write any Message-ID, so the sender is to be the same,
// and the first one from elsewhere: a list's program sends many mails with one Message-ID.
bool MailReader::is_joined(Open& open) {
  const OpenMessage* const first = find_message(open.message_id);
  const LoggedMail* const known =
      is_in_queue(first) && first->mail != kNoMail ? &mails_.all[first->mail] : nullptr;
  const bool from_here =
      known != nullptr && known->login == 0 && is_loopback(mails_.names.text(known->client));
  if (!is_in_queue(first) ||
      (known != nullptr && (from_here || known->sender != mails_.all[open.mail].sender))) {
    put_in_queue(open.message_id, open.mail);
    return false;
  }
  open.message_id = 0;
  join(open, first->mail);
  return true;
}

MailReader::OpenMessage* MailReader::find_message(std::uint64_t id) {
  return messages_.find(id, [id](const OpenMessage& known) { return known.message_id == id; });
}

void MailReader::put_in_queue(std::uint64_t id, std::uint32_t mail) {
  OpenMessage* message = find_message(id);
  if (message == nullptr) {
    if (messages_.size() >= kMaxOpen) messages_.drop_oldest();
    message = &messages_.add(id);
    message->message_id = id;
  }
  message->mail = mail;
  ++message->in_queue;
  if (mail != kNoMail) mails_.all[mail].shared = true;
}

// What becomes of a mail that came again is told of the first one.
void MailReader::join(Open& again, std::uint32_t first) {
  // It has this Message-ID alone: the first one had none, or another.
  OpenMessage* const message = again.message_id == 0 ? nullptr : find_message(again.message_id);
  if (message != nullptr && message->mail == again.mail) message->mail = first;
  if (first != kNoMail) mails_.all[first].shared = true;
  const bool had_own = !std::exchange(again.again, true);
  if (had_own) ++counts_.reinjected;
  if (had_own && again.mail != kNoMail) {
    // Nearly always it is the newest, and takes no memory.
    if (again.mail + 1 == mails_.all.size() && !mails_.all[again.mail].shared) {
      mails_.all.pop_back();
    } else {
      mails_.all[again.mail].counts = false;
    }
  }
  again.mail = first;
}

void MailReader::take_delivery(Open& open, const PostfixLine& line) {
  LoggedMail* mail = mail_of(open);
  if (mail == nullptr) return;
  // A content filter's mail has the recipients of the first one, perhaps as aliases expand to.
  if (!open.again) {
    mails_.add_recipient(*mail, mails_.names.number_of(policyd::address_form(line.recipient)));
  }
  MailStatus status = MailStatus::sent;
  if (line.status == "deferred") status = MailStatus::deferred;
  if (is_bounce(line.status)) status = MailStatus::bounced;
  if (!line.to_loopback || status != MailStatus::sent)
    mail->status = std::max(mail->status, status);
}

void MailReader::take_refusal(std::uint64_t key, Open* open, const PostfixLine& line,
                              TimePoint time) {
  if (!texts_.are_ours(line.text)) return;
  LoggedMail* mail = open == nullptr ? nullptr : mail_of(*open);
  if (mail == nullptr) {
    if (line.recipient.empty()) return;
    // Without a queue ID, mails of one moment differ by these.
    const std::uint64_t names = hash_of(line.sender) * 3 ^ hash_of(line.recipient);
    const std::uint32_t made = new_mail(key ^ names, line, time);
    if (made == kNoMail) return;
    mail = &mails_.all[made];
  }
  ++counts_.refused;
  mail->status = MailStatus::refused;
  mail->complete = true;
  mail->sender = mails_.names.number_of(policyd::address_form(line.sender));
  if (mail->login == 0) {
    const KnownLogin* known = known_login(mail->client, mail->sender);
    if (known != nullptr) mail->login = known->login;
  }
  if (!line.recipient.empty()) {
    mails_.add_recipient(*mail, mails_.names.number_of(policyd::address_form(line.recipient)),
                         true);
  }
}

void MailReader::tell_bounce(const LoggedMail& mail, const PostfixLine& line,
                             TimePoint time) const {
  if (!is_bounce(line.status)) return;
  const Names& names = mails_.names;
  const std::string recipient = policyd::address_form(line.recipient);
  take_bounce_(
      {time, names.text(mail.client), names.text(mail.login), names.text(mail.sender), recipient});
}

void MailReader::tell_unknown(const LoggedMail* mail, const PostfixLine& line, TimePoint time) {
  if (!names_no_recipient(line.text)) return;
  const std::string sender = policyd::address_form(line.sender);
  const std::string recipient = policyd::address_form(line.recipient);
  std::string login = policyd::login_form(line.login);
  if (login.empty() && mail != nullptr) login = name(mail->login);
  if (login.empty()) {
    const KnownLogin* known =
        known_login(mails_.names.number_of(line.client), mails_.names.number_of(sender));
    if (known != nullptr) login = name(known->login);
  }
  take_bounce_({time, line.client, login, sender, recipient});
}

std::vector<MailReader::Waiting> MailReader::waiting(std::size_t max) const {
  std::vector<Waiting> out;
  open_.each([&](const Open& open) {
    if (open.ended || open.mail == kNoMail) return true;
    const LoggedMail& mail = mails_.all[open.mail];
    out.push_back({open.key, open.message_id, open.from_loopback, open.again, name(mail.client),
                   name(mail.login), name(mail.sender)});
    return out.size() < max;
  });
  std::reverse(out.begin(), out.end());
  return out;
}

void MailReader::resume(const std::vector<Waiting>& waiting) {
  for (const Waiting& each : waiting) {
    if (open_.size() >= kMaxOpen || find(each.key) != nullptr) continue;
    LoggedMail mail;
    mail.client = mails_.names.number_of(each.client);
    mail.login = mails_.names.number_of(each.login);
    mail.sender = mails_.names.number_of(each.sender);
    mail.counts = false;  // with an older part of the log
    remember_login(mail);
    const auto number = static_cast<std::uint32_t>(mails_.all.size());
    mails_.all.push_back(mail);
    Open& open = open_.add(each.key);
    open.key = each.key;
    open.from_loopback = each.from_loopback;
    open.again = each.again;
    open.mail = number;
    open.message_id = each.message_id;
    if (open.message_id != 0) put_in_queue(open.message_id, number);
  }
}

MailReader::KnownLogin* MailReader::known_login(Names::Number client, Names::Number sender) {
  return logins_.find(key_of(client, sender), [client, sender](const KnownLogin& known) {
    return known.client == client && known.sender == sender;
  });
}

void MailReader::remember_login(const LoggedMail& mail) {
  if (mail.login == 0) return;
  KnownLogin* known = known_login(mail.client, mail.sender);
  if (known == nullptr) {
    if (logins_.size() >= kMaxOpen) logins_.drop_oldest();
    known = &logins_.add(key_of(mail.client, mail.sender));
  }
  *known = {mail.client, mail.sender, mail.login};
}

void MailReader::end(Open& open) {
  const std::uint64_t hash = std::exchange(open.message_id, 0);
  if (hash == 0 || open.undecided) return;
  OpenMessage* message = find_message(hash);
  if (message != nullptr && message->in_queue > 0) --message->in_queue;
}

Mails MailReader::take() {
  count_hours();
  mails_.sort();
  if (files_ > 1 || counts_.backwards > 0) counts_.repeated = mails_.count_once();
  const auto gone =
      std::remove_if(mails_.all.begin(), mails_.all.end(), [&](const LoggedMail& mail) {
        const bool incomplete = mail.counts && (mail.recipients == 0 || !mail.complete);
        if (incomplete) ++counts_.incomplete;
        return !mail.counts || incomplete;
      });
  mails_.all.erase(gone, mails_.all.end());
  return std::move(mails_);
}

}  // namespace limits
