// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/protocol/policy_protocol.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <system_error>

#include "daemon/base/ascii.hpp"
#include "daemon/base/ascii_run.hpp"
#include "daemon/base/ip_address.hpp"
#include "daemon/base/mail_address.hpp"
#include "daemon/names/name_form.hpp"
#include "daemon/names/origin.hpp"

namespace policyd {
namespace {

std::string_view without_cr(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

// The position of the `=`, or npos if the line is not name=value.
std::size_t end_of_name(std::string_view line) {
  const std::size_t equals = line.find('=');
  return equals == 0 ? std::string_view::npos : equals;
}

std::optional<Attribute> attribute_named(std::string_view name) {
  using enum Attribute;
  switch (name.size()) {
    case 4:
      if (name == "size") return size;
      break;
    case 6:
      if (name == "sender") return sender;
      break;
    case 8:
      if (name == "instance") return instance;
      if (name == "queue_id") return queue_id;
      break;
    case 9:
      if (name == "recipient") return recipient;
      if (name == "helo_name") return helo_name;
      break;
    case 11:
      if (name == "client_name") return client_name;
      if (name == "sasl_method") return sasl_method;
      if (name == "sasl_sender") return sasl_sender;
      break;
    case 13:
      if (name == "protocol_name") return protocol_name;
      if (name == "sasl_username") return sasl_username;
      break;
    case 14:
      if (name == "protocol_state") return state;
      if (name == "client_address") return client_address;
      break;
    case 15:
      if (name == "recipient_count") return recipient_count;
      break;
    case 17:
      if (name == "encryption_cipher") return encryption_cipher;
      break;
    case 18:
      if (name == "encryption_keysize") return encryption_keysize;
      break;
    case 19:
      if (name == "encryption_protocol") return encryption_protocol;
      if (name == "reverse_client_name") return reverse_client_name;
      break;
    default:
      break;
  }
  return std::nullopt;
}

void note(std::string_view received, std::size_t line, std::size_t equals, std::size_t end,
          Framing& at) {
  const auto attribute = attribute_named(received.substr(line, equals - line));
  if (!attribute) return;
  at.values[static_cast<std::size_t>(*attribute)] = {static_cast<std::uint16_t>(equals + 1),
                                                     static_cast<std::uint16_t>(end - equals - 1)};
}

// Postfix sends these outside of a mail transaction, where instance and sender are still empty.
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

// Bounded so that callers may add to it; 0 if it is not a number.
std::uint64_t size_of(std::string_view text) {
  constexpr std::uint64_t kMax = std::numeric_limits<std::int64_t>::max();
  std::uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (rest != end) return 0;
  if (error == std::errc::result_out_of_range) return kMax;
  return error == std::errc{} ? std::min(value, kMax) : 0;
}

// `part` is a view into `text`. False if it has more than ASCII.
bool lower_case_in_place(std::span<char> text, std::string_view part) {
  if (part.empty()) return true;
  const auto begin = static_cast<std::size_t>(part.data() - text.data());
  unsigned bits = 0;
  for (char& c : text.subspan(begin, part.size())) {
    bits |= static_cast<unsigned char>(c);
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return (bits & 0x80U) == 0;
}

// Names beyond ASCII or without a domain: their forms are in `names`, since they may be longer.
void use_name_forms(Request& request, std::string& names, std::string_view myorigin) {
  const auto form = [myorigin](std::string_view address) {
    const bool add = !myorigin.empty() && lacks_domain(address);
    return add ? address_form(with_domain(address, myorigin)) : address_form(address);
  };
  const std::string sender = form(request.sender);
  const std::string recipient = form(request.recipient);
  const std::string login = login_form(request.sasl_username.value_or(""));
  names = sender + recipient + login;
  const std::string_view all = names;
  request.sender = all.substr(0, sender.size());
  request.recipient = all.substr(sender.size(), recipient.size());
  if (request.sasl_username) request.sasl_username = all.substr(all.size() - login.size());
}

// The values of one request.
struct Values {
  std::string_view text;
  const Framing& at;

  [[nodiscard]] std::optional<std::string_view> given(Attribute attribute) const {
    const Framing::Value value = at.values[static_cast<std::size_t>(attribute)];
    if (value.begin == 0) return std::nullopt;
    return text.substr(value.begin, value.size);
  }
  std::string_view operator[](Attribute attribute) const { return value_of(text, at, attribute); }
};

// What is missing or malformed; empty if nothing. CBPolicyD, "The Postfix side".
std::string_view problem_in(const Values& values, const std::optional<IpAddress>& client) {
  if (!values.given(Attribute::client_address)) return "client_address is missing";
  if (!client) return "client_address is not a valid IP address";
  const auto sender = values.given(Attribute::sender);
  if (!sender) return "sender is missing";
  if (!sender->empty() && !is_mail_address(*sender)) {
    return "sender is not a mail address";
  }
  if (values[Attribute::instance].empty()) return "instance is missing or empty";
  if (values[Attribute::state] != "RCPT") return {};
  const auto recipient = values.given(Attribute::recipient);
  if (!recipient) return "recipient is missing";
  if (!is_mail_address(*recipient)) return "recipient is not a mail address";
  return {};
}

// The action in the words of access(5). A pass is DUNNO, followed by its text.
void append_word(std::string& out, Action action) {
  const std::size_t begin = out.size();
  out += name_of(action == Action::pass ? Action::dunno : action);
  for (std::size_t i = begin; i < out.size(); ++i) out[i] = static_cast<char>(out[i] - 'a' + 'A');
}

// Texts such as "550 5.7.1 Gone" of a REJECT and "450 later" of a DEFER.
bool is_code_and_text(Action action, std::string_view text) {
  const char first = action == Action::reject ? '5' : action == Action::defer ? '4' : '\0';
  return text.size() >= 4 && text[0] == first && is_digit(text[1]) && is_digit(text[2]) &&
         text[3] == ' ';
}

char space_if_control(char c) {
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
    const std::size_t equals = end_of_name(line);
    if (equals == std::string_view::npos) return Frame::not_name_value;
    note(window, at.line, at.line + equals, at.line + line.size(), at);
    at.line = at.scanned;
  }
  return at.scanned == kMaxRequestBytes ? Frame::too_large : Frame::need_more;
}

std::string_view parse_request(std::span<char> text, const Framing& at, Request& out,
                               std::string& names, std::string_view myorigin) {
  const Values values{{text.data(), text.size()}, at};
  const std::string_view state = values[Attribute::state];
  if (!values.given(Attribute::state)) return "protocol_state is missing";
  const auto client = IpAddress::parse(values[Attribute::client_address]);
  if (is_checked(state)) {
    const std::string_view problem = problem_in(values, client);
    if (!problem.empty()) return problem;
  }

  out.state = state_of(state);
  out.client_address = client.value_or(IpAddress{});
  out.instance = values[Attribute::instance];
  out.sender = values[Attribute::sender];
  if (out.sender == "<>") out.sender = {};  // as people write the empty one
  out.recipient = values[Attribute::recipient];
  out.sasl_username = values.given(Attribute::sasl_username);
  if (out.sasl_username) out.sasl_username = without_outer_blanks(*out.sasl_username);
  out.size_bytes = size_of(values[Attribute::size]);
  out.recipient_count = size_of(values[Attribute::recipient_count]);
  out.queue_id = values[Attribute::queue_id];
  out.helo_name = values[Attribute::helo_name];
  out.client_name = values[Attribute::client_name];
  out.reverse_client_name = values[Attribute::reverse_client_name];
  out.protocol_name = values[Attribute::protocol_name];
  out.encryption_protocol = values[Attribute::encryption_protocol];
  out.encryption_cipher = values[Attribute::encryption_cipher];
  out.encryption_keysize = values[Attribute::encryption_keysize];
  out.sasl_method = values[Attribute::sasl_method];
  out.sasl_sender = values[Attribute::sasl_sender];
  const bool sender = lower_case_in_place(text, out.sender);
  const bool recipient = lower_case_in_place(text, out.recipient);
  const bool login = lower_case_in_place(text, out.sasl_username.value_or(""));
  const bool whole = myorigin.empty() || !(lacks_domain(out.sender) || lacks_domain(out.recipient));
  if (!sender || !recipient || !login || !whole) {
    use_name_forms(out, names, myorigin);
    return {};
  }
  out.sender = address_without_final_dot(out.sender);
  out.recipient = address_without_final_dot(out.recipient);
  if (out.sasl_username) out.sasl_username = address_without_final_dot(*out.sasl_username);
  return {};
}

std::string_view value_of(std::string_view text, const Framing& at, Attribute attribute) {
  const Framing::Value value = at.values[static_cast<std::size_t>(attribute)];
  return text.substr(value.begin, value.size);
}

std::string_view answerable(std::string_view text) {
  if (text.size() <= kMaxAnswerText) return text;
  std::size_t end = kMaxAnswerText;
  while (end > kMaxAnswerText - 3 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) {
    --end;
  }
  return text.substr(0, end);
}

void append_action(std::string& out, const Verdict& verdict) {
  std::string_view text = answerable(verdict.text);
  out += "action=";
  if (!is_code_and_text(verdict.action, text)) {
    append_word(out, verdict.action);
    if (!text.empty()) out += ' ';
  }
  while (!text.empty()) {
    const std::string_view plain = run_from<' '>(text);
    out += plain;
    text.remove_prefix(plain.size());
    if (text.empty()) break;
    out += space_if_control(text.front());
    text.remove_prefix(1);
  }
  out += "\n\n";
}

}  // namespace policyd
