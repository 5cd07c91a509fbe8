// SPDX-License-Identifier: AGPL-3.0-only
// What a line of Postfix's log says about a message. Views into the line; pure functions. Texts
// come from strangers: fields are found by their order, and bounded by the line.
#pragma once

#include <cstdint>
#include <string_view>

namespace limits {

// "HOST PROGRAM[PID]: TEXT", what follows the time.
struct SyslogLine {
  std::string_view host;
  std::string_view program;  // "postfix/submission/smtpd"
  std::string_view text;     // empty if there is none
};
SyslogLine parse_syslog(std::string_view after_time);

enum class PostfixEvent : std::uint8_t {
  none,        // of Postfix, and nothing for us
  received,    // smtpd took a message: client, login
  local,       // pickup took one from the sendmail program
  message_id,  // cleanup
  queued,      // qmgr: sender, size
  delivered,   // a delivery to one recipient: recipient, relay, status, queued as
  removed,     // from the queue
  refused,     // "reject:" and "discard:": client, login, sender, recipient, text
};

struct PostfixLine {
  PostfixEvent event = PostfixEvent::none;
  std::string_view queue_id;  // "NOQUEUE" for mail that was refused before it had one
  std::string_view client;    // the address
  std::string_view login;
  std::string_view message_id;
  std::string_view sender;
  std::string_view recipient;     // as it was given to smtpd: orig_to, if there is one
  std::string_view delivered_to;  // that, or what aliases made of it
  std::string_view status;        // "sent", "deferred", "bounced", "expired"
  std::string_view text;          // of a refusal, with its code
  std::uint64_t size = 0;
  bool to_loopback = false;    // delivered to this host itself, as to a content filter
  bool at_end = false;         // refused at END-OF-MESSAGE
  std::string_view queued_as;  // the ID that the content filter's mail got
};

// Of this host, as a content filter that gives mail back.
bool is_loopback(std::string_view address);

// Whether `program` is one of Postfix whose lines name messages.
bool is_postfix(std::string_view program);
PostfixLine parse_postfix(std::string_view program, std::string_view text);

}  // namespace limits
