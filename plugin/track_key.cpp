// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/track_key.hpp"

#include <fmt/core.h>

#include "plugin/text.hpp"

namespace limits {

KeyFilter::KeyFilter(std::string_view text)
    : text_(lower_cased(text)), ip_(policyd::IpAddress::parse(text)) {
  if (ip_) return;
  if (text_.find('@') != std::string::npos) {
    domain_ = policyd::domain_of(text_);
    is_domain_ = text_.front() == '@';
  } else if (text_.find('.') != std::string::npos) {
    domain_ = text_;
    is_domain_ = true;
  }
}

std::optional<std::vector<std::string>> KeyFilter::keys() const {
  if (ip_ || is_domain_) return std::nullopt;
  std::vector<std::string> out = {"SASLUsername:" + text_};
  if (domain_.empty()) return out;
  for (const std::string& who : {text_, "@" + domain_}) {
    out.push_back("Sender:" + who);
    out.push_back("Recipient:" + who);
  }
  out.push_back("SASLUsername:@" + domain_);
  return out;
}

std::string KeyFilter::text() const { return shown(text_); }

std::string KeyFilter::pattern() const { return ip_ ? "SenderIP:%" : "%" + domain_; }

bool KeyFilter::shows(std::string_view track_key) const {
  const std::size_t colon = track_key.find(':');
  if (colon == std::string_view::npos) return false;
  const std::string_view method = track_key.substr(0, colon);
  const std::string value = lower_cased(track_key.substr(colon + 1));
  if (method == "SenderIP") {
    const auto network = policyd::IpNetwork::parse(value);
    return ip_ && network && network->contains(*ip_);
  }
  if (ip_) return false;
  if (value == text_) return true;
  if (domain_.empty()) return false;
  if (is_domain_) return policyd::domain_of(value) == domain_;
  return value.size() == domain_.size() + 1 && value.front() == '@' &&
         std::string_view{value}.substr(1) == domain_;
}

std::string say_key(std::string_view track_key) {
  if (track_key == "Policy") return "all together";
  const std::size_t colon = track_key.find(':');
  if (colon == std::string_view::npos) return escaped(track_key);
  const std::string_view method = track_key.substr(0, colon);
  std::string_view value = track_key.substr(colon + 1);
  if (value == "<>") return "<> (bounces)";
  if (method == "SASLUsername") {
    return value.empty() || value == "-" ? "without login" : "login " + escaped(value);
  }
  const std::size_t slash = value.find('/');
  if (method == "SenderIP" && value.substr(0, slash).find(':') == std::string_view::npos &&
      slash != std::string_view::npos && value.substr(slash) == "/32") {
    value = value.substr(0, slash);
  }
  return escaped(value);
}

std::string say_wait(std::optional<policyd::TimePoint> when, policyd::TimePoint now) {
  if (!when || *when <= now) return "now";
  const auto wait_s = std::chrono::ceil<std::chrono::seconds>(*when - now).count();
  constexpr std::int64_t kMinute = 60;
  constexpr std::int64_t kHour = 60 * kMinute;
  constexpr std::int64_t kDay = 24 * kHour;
  const auto two = [&](std::int64_t unit, std::string_view name, std::int64_t smaller,
                       std::string_view smaller_name) {
    const std::int64_t rest = wait_s % unit / smaller;
    return rest == 0 ? fmt::format("in {} {}", wait_s / unit, name)
                     : fmt::format("in {} {} {} {}", wait_s / unit, name, rest, smaller_name);
  };
  if (wait_s < kMinute) return fmt::format("in {} s", wait_s);
  if (wait_s < kHour) return two(kMinute, "min", 1, "s");
  if (wait_s < kDay) return two(kHour, "h", kMinute, "min");
  return two(kDay, "d", kHour, "h");
}

}  // namespace limits
