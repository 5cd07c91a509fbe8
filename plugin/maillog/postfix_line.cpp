// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/maillog/postfix_line.hpp"

#include <algorithm>
#include <optional>

#include "daemon/base/ascii.hpp"

namespace limits {
namespace {

constexpr auto kNone = std::string_view::npos;

// What stands between `begin` and the next `end`; empty if one of them is missing. Continues after
// it.
std::string_view between(std::string_view& rest, std::string_view begin, std::string_view end) {
  const std::size_t at = rest.find(begin);
  if (at == kNone) return {};
  const std::size_t from = at + begin.size();
  const std::size_t to = rest.find(end, from);
  if (to == kNone) return {};
  const std::string_view found = rest.substr(from, to - from);
  rest.remove_prefix(to);
  return found;
}

// "mail.example.com[192.0.2.1]", with ":25" behind it for some: the address.
std::string_view address_in(std::string_view name_and_address) {
  const std::size_t open = name_and_address.rfind('[');
  const std::size_t close = name_and_address.rfind(']');
  if (open == kNone || close == kNone || close < open) return {};
  return name_and_address.substr(open + 1, close - open - 1);
}

std::string_view last_part(std::string_view program) {
  return program.substr(program.rfind('/') + 1);
}

bool is_delivery(std::string_view part) {
  return part == "smtp" || part == "lmtp" || part == "local" || part == "virtual" ||
         part == "pipe" || part == "relay" || part == "error" || part == "discard" ||
         part == "retry";
}

bool is_queue_manager(std::string_view part) { return part == "qmgr" || part == "nqmgr"; }

// "client=a.example[192.0.2.1], sasl_method=PLAIN, sasl_username=anna"
void parse_received(std::string_view text, PostfixLine& out) {
  const std::size_t end = text.find(']');
  out.client = address_in(text.substr(0, end == kNone ? end : end + 1));
  constexpr std::string_view kLogin = ", sasl_username=";
  const std::size_t login = text.find(kLogin);
  if (login != kNone) {
    out.login = text.substr(login + kLogin.size());
    for (const std::string_view next : {", sasl_sender=", ", orig_queue_id=", ", orig_client="}) {
      out.login = out.login.substr(0, out.login.find(next));
    }
  }
  out.event = PostfixEvent::received;
}

void parse_queued(std::string_view text, PostfixLine& out) {
  constexpr std::string_view kFrom = "from=<";
  constexpr std::string_view kSize = ">, size=";
  const std::size_t size = text.rfind('>');  // none of what follows has one
  if (!text.starts_with(kFrom) || size == kNone || size < kFrom.size() ||
      !text.substr(size).starts_with(kSize)) {
    return;
  }
  out.sender = text.substr(kFrom.size(), size - kFrom.size());
  std::string_view number = text.substr(size + kSize.size());
  number = number.substr(0, number.find(','));
  out.size = policyd::parse_number<std::uint64_t>(number).value_or(0);
  out.event = PostfixEvent::queued;
}

void parse_delivered(std::string_view text, PostfixLine& out) {
  constexpr std::string_view kTo = "to=<";
  if (!text.starts_with(kTo)) return;
  std::string_view rest = text;
  out.recipient = out.delivered_to = between(rest, kTo, ">, ");
  if (rest.substr(0, 12) == ">, orig_to=<") out.recipient = between(rest, ", orig_to=<", ">, ");
  const std::string_view relay = between(rest, ", relay=", ", ");
  out.to_loopback = is_loopback(address_in(relay));
  out.status = between(rest, ", status=", " ");
  if (out.to_loopback) {
    constexpr std::string_view kAs = "queued as ";
    const std::size_t as = rest.rfind(kAs);
    if (as != kNone) {
      const std::string_view id = rest.substr(as + kAs.size());
      out.queued_as = id.substr(0, id.find_first_of(") "));
    }
  }
  out.event = PostfixEvent::delivered;
}

// Cuts `begin` off; false if `rest` begins otherwise.
bool skip(std::string_view& rest, std::string_view begin) {
  if (!rest.starts_with(begin)) return false;
  rest.remove_prefix(begin.size());
  return true;
}

// Cuts off what stands before the next `end`; nullopt if there is none, or one of `without` in it.
std::optional<std::string_view> take_until(std::string_view& rest, std::string_view end,
                                           std::string_view without) {
  const std::size_t at = rest.find(end);
  if (at == kNone) return std::nullopt;
  const std::string_view taken = rest.substr(0, at);
  if (taken.find_first_of(without) != kNone) return std::nullopt;
  rest.remove_prefix(at + end.size());
  return taken;
}

// Cuts an address and its ">" off. What of it is not plain is a local part in quotation marks,
// which may look like any of the fields (Postfix, info_log_addr_form).
std::optional<std::string_view> take_address(std::string_view& rest) {
  const std::string_view begin = rest;
  if (skip(rest, "\"")) {
    std::size_t end = 0;
    while (end < rest.size() && rest[end] != '"') end += rest[end] == '\\' ? 2 : 1;
    if (end >= rest.size()) return std::nullopt;
    rest.remove_prefix(end + 1);
    if (!rest.starts_with('@') && !rest.starts_with('>')) return std::nullopt;
  }
  if (!take_until(rest, ">", "<\" ")) return std::nullopt;
  return begin.substr(0, begin.size() - rest.size() - 1);
}

struct RefusedFields {
  std::string_view sender;
  std::string_view recipient;
  std::string_view login;
  std::string_view submitter;  // as the client says, AUTH= of MAIL FROM
};

// " sasl_method=PLAIN sasl_username=anna sasl_sender=<>", with which Postfix 3.10 (not 3.7) ends
// the line of an authenticated client, or " sasl_username=<anna>"; false if it is something else.
bool take_authentication(std::string_view rest, RefusedFields& out) {
  if (rest.empty()) return true;
  if (skip(rest, " sasl_method=")) rest.remove_prefix(std::min(rest.find(' '), rest.size()));
  if (!skip(rest, " sasl_username=")) return false;
  constexpr std::string_view kSubmitter = " sasl_sender=";
  const std::size_t submitter = rest.find(kSubmitter);
  if (submitter != kNone) out.submitter = rest.substr(submitter + kSubmitter.size());
  out.login = rest.substr(0, submitter);
  if (out.login.size() > 1 && out.login.starts_with('<') && out.login.ends_with('>')) {
    out.login = out.login.substr(1, out.login.size() - 2);
  }
  return out.login.find_first_of("<>") == kNone;
}

// "anna@example.org> to=<bob@example.org> proto=ESMTP helo=<h> sasl_method=PLAIN
// sasl_username=anna" to its end.
std::optional<RefusedFields> refused_fields(std::string_view rest) {
  RefusedFields out;
  const auto sender = take_address(rest);
  if (!sender) return std::nullopt;
  out.sender = *sender;
  if (skip(rest, " to=<")) {
    const auto recipient = take_address(rest);
    if (!recipient) return std::nullopt;
    out.recipient = *recipient;
  }
  if (!skip(rest, " proto=")) return std::nullopt;
  rest.remove_prefix(std::min(rest.find(' '), rest.size()));
  // smtpd writes '?' for what could end a HELO name.
  if (skip(rest, " helo=<") && !take_until(rest, ">", "<")) return std::nullopt;
  return take_authentication(rest, out) ? std::optional{out} : std::nullopt;
}

// "a.example[192.0.2.1]: 450", or with "]:5555: " (smtpd_client_port_logging): cuts off what stands
// before the code.
std::string_view take_client(std::string_view& rest) {
  const std::size_t end = rest.find(']');
  if (end == kNone) return {};
  const std::string_view client = address_in(rest.substr(0, end + 1));
  rest.remove_prefix(end + 1);
  if (rest.size() > 1 && rest[0] == ':' && policyd::is_digit(rest[1])) {
    rest.remove_prefix(1);
    while (!rest.empty() && policyd::is_digit(rest[0])) rest.remove_prefix(1);
  }
  return skip(rest, ": ") ? client : std::string_view{};
}

// "RCPT from a.example[192.0.2.1]: 450 4.7.1 <bob@example.org>: Recipient address rejected: Text;
// from=<anna@example.org> to=<bob@example.org> proto=ESMTP helo=<h> sasl_method=PLAIN
// sasl_username=anna"
void parse_refused(std::string_view text, PostfixLine& out) {
  constexpr std::string_view kClient = " from ";
  constexpr std::string_view kFields = "; from=<";
  const std::size_t from = text.find(kClient);
  if (from == kNone) return;
  std::string_view rest = text.substr(from + kClient.size());
  const std::string_view client = take_client(rest);
  if (client.empty()) return;
  // The text is the admin's own, and addresses are the client's: of what looks like the fields only
  // these themselves reach the end of the line.
  for (std::size_t at = rest.find(kFields); at != kNone; at = rest.find(kFields, at + 1)) {
    const auto fields = refused_fields(rest.substr(at + kFields.size()));
    if (!fields) continue;
    // With fields in AUTH=, which the client chooses, nothing tells which are Postfix's.
    if (fields->submitter.find('<') != kNone && fields->submitter != "<>") return;
    out.at_end = text.substr(0, from) == "END-OF-MESSAGE";
    out.client = client;
    out.text = rest.substr(0, at);
    out.sender = fields->sender;
    out.recipient = fields->recipient;
    out.login = fields->login;
    out.event = PostfixEvent::refused;
    return;
  }
}

// Cuts the queue ID and ": " off the text; empty if it does not begin with one.
std::string_view take_queue_id(std::string_view& text) {
  constexpr std::size_t kShortest = 5;
  constexpr std::size_t kLongest = 64;
  std::size_t end = 0;
  while (end < text.size() && end <= kLongest &&
         (policyd::is_digit(text[end]) || policyd::is_letter(text[end]))) {
    ++end;
  }
  if (end < kShortest || end > kLongest || text.substr(end, 2) != ": ") return {};
  const std::string_view id = text.substr(0, end);
  text.remove_prefix(end + 2);
  return id;
}

}  // namespace

SyslogLine parse_syslog(std::string_view after_time) {
  SyslogLine out;
  while (after_time.starts_with(' ')) after_time.remove_prefix(1);
  const std::size_t host_end = after_time.find(' ');
  if (host_end == kNone) return out;
  out.host = after_time.substr(0, host_end);
  after_time.remove_prefix(host_end + 1);
  // Quicker than find_first_of().
  const auto* const end_of_program = std::find_if(after_time.begin(), after_time.end(), [](char c) {
    return c == '[' || c == ':' || c == ' ';
  });
  if (end_of_program == after_time.end()) return out;
  const auto end = static_cast<std::size_t>(end_of_program - after_time.begin());
  out.program = after_time.substr(0, end);
  const std::size_t colon = after_time.find(": ", end);
  if (colon != kNone) out.text = after_time.substr(colon + 2);
  return out;
}

bool is_loopback(std::string_view address) {
  return address == "::1" || address.starts_with("127.");
}

bool is_postfix(std::string_view program) {
  const std::string_view part = last_part(program);
  return part.size() < program.size() &&
         (part == "smtpd" || part == "cleanup" || part == "pickup" || is_queue_manager(part) ||
          is_delivery(part));
}

PostfixLine parse_postfix(std::string_view program, std::string_view text) {
  PostfixLine out;
  out.queue_id = take_queue_id(text);
  if (out.queue_id.empty()) return out;
  const std::string_view part = last_part(program);
  if (part == "smtpd") {
    constexpr std::string_view kClient = "client=";
    constexpr std::string_view kReject = "reject: ";
    constexpr std::string_view kDiscard = "discard: ";
    if (text.starts_with(kClient)) parse_received(text, out);
    if (text.starts_with(kReject)) parse_refused(text.substr(kReject.size()), out);
    if (text.starts_with(kDiscard)) parse_refused(text.substr(kDiscard.size()), out);
  } else if (part == "cleanup") {
    constexpr std::string_view kMessageId = "message-id=";
    if (text.starts_with(kMessageId)) {
      out.message_id = text.substr(kMessageId.size());
      out.event = PostfixEvent::message_id;
    }
  } else if (is_queue_manager(part)) {
    if (text == "removed") out.event = PostfixEvent::removed;
    parse_queued(text, out);
  } else if (part == "pickup") {
    if (text.starts_with("uid=")) out.event = PostfixEvent::local;
  } else if (is_delivery(part)) {
    parse_delivered(text, out);
  }
  return out;
}

}  // namespace limits
