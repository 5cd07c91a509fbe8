// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/events/sent_by.hpp"

#include <algorithm>
#include <utility>

#include "daemon/base/mail_address.hpp"
#include "daemon/names/name_form.hpp"

namespace limits {
namespace {

constexpr std::string_view kNullSender = "<>";

}  // namespace

SentBy::SentBy(std::string_view name, const policyd::Extensions& extensions,
               std::vector<std::string> others)
    : name_(policyd::login_form(name)),
      others_(std::move(others)),
      ip_(policyd::IpAddress::parse(name)),
      network_(KeyNetwork::parse(name)),
      extensions_(extensions) {
  if (ip_ || network_) return;
  if (name_.starts_with('@')) {
    domain_ = policyd::domain_of(name_);
  } else if (name_.find('@') == std::string::npos && name_.find('.') != std::string::npos) {
    domain_ = policyd::domain_form(name);
  }
}

std::string SentBy::sender_form(std::string_view sender) const {
  return sender.empty() ? std::string{kNullSender}
                        : policyd::without_extension(policyd::login_form(sender), extensions_);
}

bool SentBy::names(std::string_view form) const {
  if (form == name_ || std::find(others_.begin(), others_.end(), form) != others_.end()) {
    return true;
  }
  return !domain_.empty() && form.find('@') != std::string_view::npos &&
         policyd::domain_of(form) == domain_;
}

bool SentBy::is(std::string_view sender, std::string_view login, std::string_view client) const {
  if (ip_ || network_) {
    const auto address = policyd::IpAddress::parse(client);
    return address && (ip_ ? *address == *ip_ : network_->contains(*address));
  }
  return names(sender_form(sender)) || (!login.empty() && names(policyd::login_form(login)));
}

bool SentBy::is(const policyd::Event& event) const {
  return is(event.sender, event.login, event.client);
}

}  // namespace limits
