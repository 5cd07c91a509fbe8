// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/protocol.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <optional>
#include <system_error>
#include <variant>

namespace policyd {
namespace {

using Outcome = Parsed::Outcome;

std::string_view without_cr(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

// Where the name ends, or npos for a line that is not name=value.
std::size_t end_of_name(std::string_view line) {
  const std::size_t equals = line.find('=');
  return equals == 0 ? std::string_view::npos : equals;
}

// What the checks need apart from the Request itself. Absent and empty are not the same.
struct Attributes {
  std::optional<std::string_view> protocol_state;
  std::optional<std::string_view> client_address;
  std::optional<std::string_view> instance;
  std::optional<std::string_view> sender;
  std::optional<std::string_view> recipient;
  std::string_view size;
};

using Checked = std::optional<std::string_view> Attributes::*;
using Sized = std::string_view Attributes::*;
using Plain = std::string_view Request::*;
using Optional = std::optional<std::string_view> Request::*;

struct Attribute {
  std::string_view name;
  std::variant<Checked, Sized, Plain, Optional> into;
};

constexpr std::array kAttributes = {
    Attribute{"protocol_state", &Attributes::protocol_state},
    Attribute{"client_address", &Attributes::client_address},
    Attribute{"instance", &Attributes::instance},
    Attribute{"sender", &Attributes::sender},
    Attribute{"recipient", &Attributes::recipient},
    Attribute{"size", &Attributes::size},
    Attribute{"sasl_username", &Request::sasl_username},
    Attribute{"queue_id", &Request::queue_id},
    Attribute{"helo_name", &Request::helo_name},
    Attribute{"client_name", &Request::client_name},
    Attribute{"reverse_client_name", &Request::reverse_client_name},
    Attribute{"protocol_name", &Request::protocol_name},
    Attribute{"encryption_protocol", &Request::encryption_protocol},
    Attribute{"encryption_cipher", &Request::encryption_cipher},
    Attribute{"encryption_keysize", &Request::encryption_keysize},
    Attribute{"sasl_method", &Request::sasl_method},
    Attribute{"sasl_sender", &Request::sasl_sender},
};

struct Store {
  Attributes& attributes;
  Request& request;
  std::string_view value;

  void operator()(Checked into) const { attributes.*into = value; }
  void operator()(Sized into) const { attributes.*into = value; }
  void operator()(Plain into) const { request.*into = value; }
  void operator()(Optional into) const { request.*into = value; }
};

// Postfix asks these outside a mail transaction, where instance and sender are still empty.
constexpr std::array<std::string_view, 6> kUncheckedStates = {"CONNECT", "EHLO", "HELO",
                                                              "MAIL",    "VRFY", "ETRN"};

bool is_checked(std::string_view protocol_state) {
  return std::find(kUncheckedStates.begin(), kUncheckedStates.end(), protocol_state) ==
         kUncheckedStates.end();
}

ProtocolState state_of(std::string_view protocol_state) {
  if (protocol_state == "RCPT") return ProtocolState::rcpt;
  if (protocol_state == "END-OF-MESSAGE") return ProtocolState::end_of_message;
  return ProtocolState::other;
}

// Bounded so that callers may add to it; 0 for whatever is no number.
std::uint64_t size_of(std::string_view text) {
  constexpr std::uint64_t kLargest = std::numeric_limits<std::int64_t>::max();
  std::uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (rest != end) return 0;
  if (error == std::errc::result_out_of_range) return kLargest;
  return error == std::errc{} ? std::min(value, kLargest) : 0;
}

// `part` is a view into `text`.
void lower_case_in_place(std::span<char> text, std::string_view part) {
  if (part.empty()) return;
  const auto begin = static_cast<std::size_t>(part.data() - text.data());
  for (char& c : text.subspan(begin, part.size())) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
}

// What is missing or malformed, or nothing. CBPolicyD, "The Postfix side".
std::string_view problem_in(const Attributes& given, const std::optional<IpAddress>& client) {
  if (!given.client_address) return "client_address is missing";
  if (!client) return "client_address is no IP address";
  if (!given.sender) return "sender is missing";
  if (!given.sender->empty() && !is_mail_address(*given.sender)) {
    return "sender is neither empty nor user@domain";
  }
  if (!given.instance || given.instance->empty()) return "instance is missing or empty";
  if (*given.protocol_state != "RCPT") return {};
  if (!given.recipient) return "recipient is missing";
  if (!is_mail_address(*given.recipient)) return "recipient is not user@domain";
  return {};
}

// Every line of `text` up to its end or its empty line.
Parsed read_lines(std::string_view text, Attributes& attributes, Request& request) {
  while (!text.empty()) {
    const std::size_t newline = text.find('\n');
    const std::string_view line = without_cr(text.substr(0, newline));
    text.remove_prefix(newline == std::string_view::npos ? text.size() : newline + 1);
    if (line.empty()) break;
    const std::size_t equals = end_of_name(line);
    if (equals == std::string_view::npos) return {Outcome::not_name_value, line};
    const std::string_view name = line.substr(0, equals);
    const auto* found = std::find_if(kAttributes.begin(), kAttributes.end(),
                                     [name](const Attribute& a) { return a.name == name; });
    if (found == kAttributes.end()) continue;
    std::visit(Store{attributes, request, line.substr(equals + 1)}, found->into);
  }
  return {};
}

// The action as access(5) has it. A pass goes on, with its text behind the word.
void append_word(std::string& out, Action action) {
  for (const char c : name_of(action == Action::pass ? Action::dunno : action)) {
    out += static_cast<char>(c - 'a' + 'A');
  }
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// "550 5.7.1 Gone" of a REJECT and "450 later" of a DEFER stand for themselves.
bool is_code_and_text(Action action, std::string_view text) {
  const char first = action == Action::reject ? '5' : action == Action::defer ? '4' : '\0';
  return text.size() >= 4 && text[0] == first && is_digit(text[1]) && is_digit(text[2]) &&
         text[3] == ' ';
}

// At most `limit` bytes, and no part of a UTF-8 character at the end.
std::string_view cut(std::string_view text, std::size_t limit) {
  if (text.size() <= limit) return text;
  std::size_t end = limit;
  while (end > limit - 3 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  return text.substr(0, end);
}

char printable(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte == 0x7F ? ' ' : c;
}

}  // namespace

Frame find_request(std::string_view received, Framing& at) {
  const std::string_view window = received.substr(0, kMaxRequestBytes);
  while (at.scanned < window.size()) {
    const std::size_t newline = window.find('\n', at.scanned);
    if (newline == std::string_view::npos) {
      at.scanned = window.size();
      break;
    }
    at.scanned = newline + 1;
    const std::string_view line = without_cr(window.substr(at.line, newline - at.line));
    if (line.empty()) return Frame::complete;
    if (end_of_name(line) == std::string_view::npos) return Frame::not_name_value;
    at.line = at.scanned;
  }
  return at.scanned == kMaxRequestBytes ? Frame::too_large : Frame::need_more;
}

Parsed parse_request(std::span<char> text, Request& out) {
  Request request;
  request.peer_address = out.peer_address;
  Attributes given;
  const Parsed lines = read_lines({text.data(), text.size()}, given, request);
  if (lines.outcome != Outcome::ok) return lines;
  if (!given.protocol_state || given.protocol_state->empty()) {
    return {Outcome::incomplete, "protocol_state is missing"};
  }

  const auto client = IpAddress::parse(given.client_address.value_or(""));
  if (is_checked(*given.protocol_state)) {
    const std::string_view problem = problem_in(given, client);
    if (!problem.empty()) return {Outcome::incomplete, problem};
  }

  request.state = state_of(*given.protocol_state);
  request.client_address = client.value_or(IpAddress{});
  request.instance = given.instance.value_or("");
  request.sender = given.sender.value_or("");
  request.recipient = given.recipient.value_or("");
  request.size_bytes = size_of(given.size);
  lower_case_in_place(text, request.sender);
  lower_case_in_place(text, request.recipient);
  lower_case_in_place(text, request.sasl_username.value_or(""));
  out = request;
  return {};
}

void append_action(std::string& out, const Verdict& verdict) {
  const std::string_view text = cut(verdict.text, kMaxAnswerText);
  out += "action=";
  if (!is_code_and_text(verdict.action, text)) {
    append_word(out, verdict.action);
    if (!text.empty()) out += ' ';
  }
  for (const char c : text) out += printable(c);
  out += "\n\n";
}

}  // namespace policyd
