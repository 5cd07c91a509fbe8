// SPDX-License-Identifier: AGPL-3.0-only
// The policy protocol, against a reader that is written straight: the first byte says in which
// pieces the rest arrives. Framing does not depend on the pieces, a Request says what the last line
// of each name says, and no answer can be taken for two.
#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "daemon/base/ascii.hpp"
#include "daemon/base/ip_address.hpp"
#include "daemon/base/mail_address.hpp"
#include "daemon/names/name_form.hpp"
#include "daemon/protocol/policy_protocol.hpp"
#include "fuzz.hpp"

namespace {

using namespace policyd;
using fuzz::check;

struct Framed {
  Frame frame;
  Framing at;
};

bool same(const Framing& a, const Framing& b) {
  return a.scanned == b.scanned && a.line == b.line &&
         std::equal(a.values.begin(), a.values.end(), b.values.begin(),
                    [](const Framing::Value& x, const Framing::Value& y) {
                      return x.begin == y.begin && x.size == y.size;
                    });
}

Framed framed_in_pieces(std::string_view text, std::size_t piece) {
  Framed out{Frame::need_more, {}};
  for (std::size_t end = 0; out.frame == Frame::need_more;) {
    out.frame = find_request(text.substr(0, end), out.at);
    check(out.at.scanned <= end && out.at.line <= out.at.scanned, "scanned only what is there");
    if (end == text.size()) break;
    end = std::min(text.size(), end + piece);
  }
  return out;
}

struct Reference {
  Frame frame = Frame::need_more;
  std::size_t size = 0;
  std::map<std::string, std::string, std::less<>> values;
};

Reference read_plainly(std::string_view text) {
  Reference out;
  text = text.substr(0, kMaxRequestBytes);
  while (true) {
    const std::size_t newline = text.find('\n', out.size);
    if (newline == std::string_view::npos) break;
    std::string_view line = text.substr(out.size, newline - out.size);
    out.size = newline + 1;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) {
      out.frame = Frame::complete;
      return out;
    }
    const std::size_t equals = line.find('=');
    if (equals == 0 || equals == std::string_view::npos) {
      out.frame = Frame::not_name_value;
      return out;
    }
    out.values[std::string{line.substr(0, equals)}] = line.substr(equals + 1);
  }
  if (text.size() == kMaxRequestBytes) out.frame = Frame::too_large;
  return out;
}

void check_request(const Request& request, const Reference& expected) {
  const auto value = [&](std::string_view name) {
    const auto found = expected.values.find(name);
    return found == expected.values.end() ? std::string{} : found->second;
  };
  const bool sasl = expected.values.contains("sasl_username");
  check(request.instance == value("instance"), "instance");
  check(request.sender == address_form(value("sender")), "sender");
  check(request.recipient == address_form(value("recipient")), "recipient");
  check(request.sasl_username.has_value() == sasl, "sasl_username is there or not");
  check(request.sasl_username.value_or("") == login_form(value("sasl_username")), "sasl_username");
  check(request.queue_id == value("queue_id"), "queue_id");
  check(request.helo_name == value("helo_name"), "helo_name");
  check(request.client_name == value("client_name"), "client_name");
  check(request.reverse_client_name == value("reverse_client_name"), "reverse_client_name");
  check(request.protocol_name == value("protocol_name"), "protocol_name");
  check(request.encryption_protocol == value("encryption_protocol"), "encryption_protocol");
  check(request.encryption_cipher == value("encryption_cipher"), "encryption_cipher");
  check(request.encryption_keysize == value("encryption_keysize"), "encryption_keysize");
  check(request.sasl_method == value("sasl_method"), "sasl_method");
  check(request.sasl_sender == value("sasl_sender"), "sasl_sender");
  check(request.size_bytes <= std::uint64_t{1} << 63, "size may be added to");
  const auto client = IpAddress::parse(value("client_address"));
  check(request.client_address == client.value_or(IpAddress{}), "client_address");
  if (request.state == ProtocolState::other) return;
  check(client.has_value() && !request.instance.empty(), "client and instance are checked");
  check(request.sender.empty() || is_mail_address(request.sender), "sender is checked");
  check(request.state != ProtocolState::rcpt || is_mail_address(request.recipient),
        "recipient is checked");
}

void check_answer(std::string_view text) {
  for (const Action action : {Action::dunno, Action::pass, Action::reject, Action::defer,
                              Action::prepend, Action::redirect}) {
    std::string out = "before";
    append_action(out, Verdict{action, std::string{text}});
    check(out.starts_with("beforeaction=") && out.ends_with("\n\n"), "an answer's form");
    check(std::count(out.begin(), out.end(), '\n') == 2, "one answer is one answer");
    check(out.size() <= kMaxAnswerText + 64, "an answer is bounded");
    check(std::all_of(out.begin(), out.end() - 2,
                      [](char c) { return static_cast<unsigned char>(c) >= ' ' && c != '\x7F'; }),
          "no control characters in an answer");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::string text{fuzz::text_of(data + 1, size - 1)};
  check_answer(text);
  // What follows the first request is the next one, as with pipelining.
  for (int requests = 0; requests < 8; ++requests) {
    const Framed whole = framed_in_pieces(text, text.size() + 1);
    const Framed pieces = framed_in_pieces(text, 1U + data[0]);
    const Reference expected = read_plainly(text);
    check(whole.frame == pieces.frame && same(whole.at, pieces.at), "pieces make no difference");
    check(whole.frame == expected.frame, "the frame");
    if (whole.frame != Frame::complete) break;
    check(whole.at.scanned == expected.size, "where the request ends");

    std::string first = text.substr(0, whole.at.scanned);
    Request request;
    std::string names;
    const std::string_view problem = parse_request(first, whole.at, request, names);
    if (problem.empty()) check_request(request, expected);
    text.erase(0, whole.at.scanned);
  }
  return 0;
}
