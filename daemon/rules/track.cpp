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
void append_part(std::string& out, std::string_view address, Part part) {
  const std::string_view local_part = local_part_of(address);
  if (part != Part::domain) out += local_part;
  if (part == Part::address) {
    out += address.substr(local_part.size());
    return;
  }
  out += '@';
  if (part == Part::domain) out += domain_of(address);
}

void append_sender(std::string& out, std::string_view sender, Part part) {
  out += "Sender:";
  if (sender.empty()) {
    out += "<>";
  } else {
    append_part(out, sender, part);
  }
}

void append_recipient(std::string& out, std::string_view recipient, Part part) {
  out += "Recipient:";
  append_part(out, recipient.empty() ? "@" : recipient, recipient.empty() ? Part::address : part);
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

void append_track_key(std::string& out, const Track& track, const Request& request) {
  switch (track.method) {
    case TrackMethod::policy:
      out += "Policy";
      return;
    case TrackMethod::sender_ip:
      return append_network(out, request.client_address, track.prefix_length);
    case TrackMethod::sender_address:
      return append_sender(out, request.sender, Part::address);
    case TrackMethod::sender_domain:
      return append_sender(out, request.sender, Part::domain);
    case TrackMethod::sender_user:
      return append_sender(out, request.sender, Part::user);
    case TrackMethod::recipient_address:
      return append_recipient(out, request.recipient, Part::address);
    case TrackMethod::recipient_domain:
      return append_recipient(out, request.recipient, Part::domain);
    case TrackMethod::recipient_user:
      return append_recipient(out, request.recipient, Part::user);
    case TrackMethod::sasl_username:
      out += "SASLUsername:";
      out += request.sasl_username.value_or("-");
      return;
    // One counter where login and address are the same.
    case TrackMethod::account:
      out += "SASLUsername:";
      if (request.sasl_username && !request.sasl_username->empty()) {
        out += *request.sasl_username;
      } else {
        out += request.sender.empty() ? "<>" : std::string_view{request.sender};
      }
      return;
  }
}

}  // namespace policyd
