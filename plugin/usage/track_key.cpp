// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/usage/track_key.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "daemon/base/ascii.hpp"
#include "daemon/base/mail_address.hpp"
#include "daemon/base/printable.hpp"
#include "daemon/names/name_form.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {

namespace {

constexpr std::string_view kBounces = "<>";
constexpr std::string_view kLoginNoun = "login ";
constexpr std::string_view kSenderIp = "SenderIP";
constexpr int kMaxLength = 128;

}  // namespace

std::optional<KeyNetwork> KeyNetwork::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto address = policyd::IpAddress::parse(text.substr(0, slash));
  const int length = policyd::parse_number<int>(text.substr(slash + 1)).value_or(-1);
  if (!address || length < 0 || length > kMaxLength) return std::nullopt;
  return KeyNetwork{address->masked(length), length};
}

std::string KeyNetwork::key() const {
  return fmt::format("{}:{}/{}", kSenderIp, address.to_string(), length);
}

KeyFilter::KeyFilter(std::string_view text, std::vector<std::string> others)
    : text_(policyd::login_form(text)),
      others_(std::move(others)),
      ip_(policyd::IpAddress::parse(text)),
      network_(KeyNetwork::parse(text)) {
  std::erase(others_, text_);
  if (ip_ || network_) return;
  if (text_.find('@') != std::string::npos) {
    domain_ = policyd::domain_of(text_);
    is_domain_ = text_.front() == '@';
  } else if (text_.find('.') != std::string::npos) {
    domain_ = policyd::domain_form(text);
    is_domain_ = true;
  }
}

std::optional<std::vector<std::string>> KeyFilter::keys() const {
  if (ip_ || is_domain_) return std::nullopt;
  if (network_) return std::vector{network_->key()};
  std::vector<std::string> names = {text_};
  names.insert(names.end(), others_.begin(), others_.end());
  if (!domain_.empty()) names.push_back("@" + domain_);
  std::vector<std::string> out;
  for (const std::string& name : names) {
    for (const char* method : kNamedMethods) out.push_back(method + name);
  }
  return out;
}

std::string KeyFilter::text() const { return shown(text_); }

std::string KeyFilter::pattern() const {
  if (ip_) return "SenderIP:%";
  return others_.empty() ? "%" + domain_ : "%" + domain_ + "%";  // they begin with it
}

bool KeyFilter::shows(std::string_view track_key) const {
  const std::size_t colon = track_key.find(':');
  if (colon == std::string_view::npos) return false;
  const std::string_view method = track_key.substr(0, colon);
  const std::string value = policyd::login_form(track_key.substr(colon + 1));
  if (method == kSenderIp) {
    const auto network = KeyNetwork::parse(value);
    return network && (ip_ ? network->contains(*ip_) : network == network_);
  }
  if (ip_ || network_) return false;
  if (value == text_ || std::find(others_.begin(), others_.end(), value) != others_.end()) {
    return true;
  }
  if (domain_.empty()) return false;
  if (is_domain_) return policyd::domain_of(value) == domain_;
  return value.size() == domain_.size() + 1 && value.front() == '@' &&
         std::string_view{value}.substr(1) == domain_;
}

std::string key_text(std::string_view track_key) {
  if (track_key == kSharedKey) return "all together";
  const std::size_t colon = track_key.find(':');
  if (colon == std::string_view::npos) return escaped(track_key);
  const std::string_view method = track_key.substr(0, colon);
  const std::string_view value = track_key.substr(colon + 1);
  if (value == kBounces) return "<> (bounces)";
  if (method == "SASLUsername") {
    return value.empty() || value == "-" ? "without login"
                                         : std::string{kLoginNoun} + escaped(value);
  }
  const auto network = method == kSenderIp ? KeyNetwork::parse(value) : std::nullopt;
  if (!network) return escaped(value);
  const std::string address = network->address.to_short_string();
  return network->is_host() ? address : fmt::format("{}/{}", address, network->length);
}

std::optional<std::string> reset_word(std::string_view track_key) {
  if (track_key == kSharedKey) return std::string{};
  const std::size_t colon = track_key.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  if (track_key.substr(0, colon) == kSenderIp) return key_text(track_key);
  const std::string_view name = track_key.substr(colon + 1);
  const bool can_be_typed =
      !name.empty() && policyd::is_valid_utf8(name) && typed_name(name) == name;
  return can_be_typed ? std::optional{std::string{name}} : std::nullopt;
}

std::string_view without_noun(std::string_view text) {
  if (text.starts_with(kLoginNoun) && text.size() > kLoginNoun.size()) {
    text.remove_prefix(kLoginNoun.size());
  }
  return text;
}

std::string_view typed_name(std::string_view text) {
  text = without_noun(text);
  if (text.starts_with('<') && text.ends_with('>')) {
    const std::string_view inside = text.substr(1, text.size() - 2);
    const bool address = inside.find('@') != std::string_view::npos &&
                         inside.find_first_of("<>") == std::string_view::npos;
    return address ? inside : text;
  }
  std::string_view client = text;
  const std::size_t open = text.find('[');
  if (open != std::string_view::npos && text.ends_with(']')) {
    if (text.substr(0, open).find('@') != std::string_view::npos) return text;
    client = text.substr(open + 1, text.size() - open - 2);
  }
  constexpr std::string_view kV6 = "IPv6:";
  if (equal_ignoring_case(client.substr(0, kV6.size()), kV6)) client.remove_prefix(kV6.size());
  return policyd::IpAddress::parse(client) ? client : text;
}

std::string wait_text(std::optional<policyd::TimePoint> when, policyd::TimePoint now, bool brief) {
  if (!when || *when <= now) return "now";
  const auto wait_s = std::chrono::ceil<std::chrono::seconds>(*when - now).count();
  constexpr std::int64_t kMinute = 60;
  constexpr std::int64_t kHour = 60 * kMinute;
  constexpr std::int64_t kDay = 24 * kHour;
  const auto two = [&](std::int64_t unit, std::string_view name, std::int64_t smaller,
                       std::string_view smaller_name) {
    const std::int64_t rest = wait_s % unit / smaller;
    return rest == 0 || brief
               ? fmt::format("in {} {}", wait_s / unit, name)
               : fmt::format("in {} {} {} {}", wait_s / unit, name, rest, smaller_name);
  };
  if (wait_s < kMinute) return fmt::format("in {} s", wait_s);
  if (wait_s < kHour) return two(kMinute, "min", 1, "s");
  if (wait_s < kDay) return two(kHour, "h", kMinute, "min");
  return two(kDay, "d", kHour, "h");
}

}  // namespace limits
