// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/rules/track.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "daemon/base/append_number.hpp"
#include "daemon/base/ascii.hpp"
#include "daemon/base/ip_address.hpp"
#include "daemon/base/mail_address.hpp"
#include "daemon/names/name_form.hpp"
#include "daemon/rules/match/row_problem.hpp"

namespace policyd {
namespace {

struct Spelling {
  std::string_view method;
  std::string_view spec;
  TrackMethod track;
};

// The methods whose specification is a fixed word.
constexpr std::array kSpellings = {
    Spelling{"sender", "user@domain", TrackMethod::sender_address},
    Spelling{"sender", "@domain", TrackMethod::sender_domain},
    Spelling{"sender", "user@", TrackMethod::sender_user},
    Spelling{"recipient", "user@domain", TrackMethod::recipient_address},
    Spelling{"recipient", "@domain", TrackMethod::recipient_domain},
    Spelling{"recipient", "user@", TrackMethod::recipient_user},
};

constexpr std::string_view kPerAccount = "user@domain per account";

constexpr std::string_view kSender = "Sender:";
constexpr std::string_view kRecipient = "Recipient:";
constexpr std::string_view kSaslUsername = "SASLUsername:";

constexpr int kMaxPrefixLength = 128;

// `/24` → 24.
std::optional<int> prefix_length_of(std::string_view spec) {
  if (!spec.starts_with('/')) return std::nullopt;
  spec.remove_prefix(1);
  int length = 0;
  const auto [end, error] = std::from_chars(spec.data(), spec.data() + spec.size(), length);
  if (error != std::errc{} || end != spec.data() + spec.size()) return std::nullopt;
  if (length < 0 || length > kMaxPrefixLength) return std::nullopt;
  return length;
}

std::optional<Track> track_of(std::string_view method, std::string_view spec) {
  if (method == "policy") return Track{TrackMethod::policy};
  if (method == "saslusername") return Track{TrackMethod::sasl_username};
  if (method == "senderip") {
    const auto length = prefix_length_of(spec);
    if (!length) return std::nullopt;
    return Track{TrackMethod::sender_ip, *length};
  }
  const auto* found = std::find_if(
      kSpellings.begin(), kSpellings.end(),
      [&](const Spelling& spelling) { return spelling.method == method && spelling.spec == spec; });
  if (found == kSpellings.end()) return std::nullopt;
  return Track{found->track};
}

// The part of a mail address that is counted.
enum class Part : std::uint8_t { address, domain, user };

// `alice@example.org`, `@example.org` or `alice@`; of an address without a domain `root`, `@` or
// `root@`.
void append_part(std::string& out, std::string_view address, Part part,
                 const Extensions& extensions) {
  if (part != Part::domain) out += extensions.user_of(address);
  if (part == Part::address) {
    out += address.substr(local_part_of(address).size());
    return;
  }
  out += '@';
  if (part == Part::domain) out += domain_of(address);
}

void append_sender(std::string& out, std::string_view method, std::string_view sender, Part part,
                   const Extensions& extensions) {
  out += method;
  if (sender.empty()) {
    out += "<>";
  } else {
    append_part(out, sender, part, extensions);
  }
}

void append_recipient(std::string& out, std::string_view recipient, Part part,
                      const Extensions& extensions) {
  out += kRecipient;
  append_part(out, recipient.empty() ? "@" : recipient, recipient.empty() ? Part::address : part,
              extensions);
}

void append_network(std::string& out, const IpAddress& address, int prefix_length) {
  out += "SenderIP:";
  address.masked(prefix_length).append_to(out);
  out += '/';
  append_number(out, std::int64_t{prefix_length});
}

}  // namespace

Result<Track> Track::parse(std::string_view text) {
  std::string lower{text};
  lower_case(lower);
  const std::string_view all = lower;
  const std::size_t colon = all.find(':');
  const std::string_view method = all.substr(0, colon);
  // As in the Perl daemon the specification ends at white space, so `SenderIP:/24 ` is valid.
  std::string_view spec = colon == std::string_view::npos ? "" : all.substr(colon + 1);
  if (method == "sender" && spec == kPerAccount) return Track{TrackMethod::account};
  spec = spec.substr(0, static_cast<std::size_t>(
                            std::find_if(spec.begin(), spec.end(), is_white_space) - spec.begin()));
  if (const auto track = track_of(method, spec)) return *track;
  return failure(describe_invalid_value("quotas", "Track", text));
}

RowTrack::RowTrack(std::string_view text) : Result<Track>(Track::parse(text)) {
  std::string method{text.substr(0, text.find(':'))};
  lower_case(method);
  bounces_ = method == "sender";
}

const Track* RowTrack::for_request(const Request& request) const {
  static constexpr Track kBounces{TrackMethod::sender_address};
  if (*this) return &**this;
  return bounces_ && request.sender.empty() ? &kBounces : nullptr;
}

void append_track_key(std::string& out, const Track& track, const Request& request,
                      const Extensions& extensions) {
  switch (track.method) {
    case TrackMethod::policy:
      out += "Policy";
      return;
    case TrackMethod::sender_ip:
      return append_network(out, request.client_address, track.prefix_length);
    case TrackMethod::sender_address:
      return append_sender(out, kSender, request.sender, Part::address, extensions);
    case TrackMethod::sender_domain:
      return append_sender(out, kSender, request.sender, Part::domain, extensions);
    case TrackMethod::sender_user:
      return append_sender(out, kSender, request.sender, Part::user, extensions);
    case TrackMethod::recipient_address:
      return append_recipient(out, request.recipient, Part::address, extensions);
    case TrackMethod::recipient_domain:
      return append_recipient(out, request.recipient, Part::domain, extensions);
    case TrackMethod::recipient_user:
      return append_recipient(out, request.recipient, Part::user, extensions);
    case TrackMethod::sasl_username:
      out += kSaslUsername;
      out += request.sasl_username.value_or("-");
      return;
    // One counter where login and address are the same.
    case TrackMethod::account:
      if (!request.sasl_username || request.sasl_username->empty()) {
        return append_sender(out, kSaslUsername, request.sender, Part::address, extensions);
      }
      out += kSaslUsername;
      out += *request.sasl_username;
      return;
  }
}

std::string track_key_form(std::string_view key) {
  for (const std::string_view method : {kSender, kSaslUsername, kRecipient}) {
    if (!key.starts_with(method)) continue;
    const std::string_view name = key.substr(method.size());
    return std::string{method} + (method == kSaslUsername ? login_form(name) : address_form(name));
  }
  return std::string{key};
}

// Without an allocation for nearly all keys.
bool is_track_key_form(std::string_view key) {
  const std::string_view name = key.substr(std::min(key.size(), key.find(':') + 1));
  const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
    return c > ' ' && c < 0x7F && !(c >= 'A' && c <= 'Z');
  });
  return plain || track_key_form(key) == key;
}

}  // namespace policyd
