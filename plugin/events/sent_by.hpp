// SPDX-License-Identifier: AGPL-3.0-only
// Whether a mail was sent by an address, domain, login, client or network, in whatever spelling. As
// a recipient the same name has sent nothing.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/ip_address.hpp"
#include "daemon/events/event.hpp"
#include "daemon/rules/match/own_addresses.hpp"
#include "plugin/usage/track_key.hpp"

namespace limits {

class SentBy {
 public:
  // `name`: counted_name(). `others`: further names of the same account, such as its login without
  // the domain.
  SentBy(std::string_view name, const policyd::Extensions& extensions,
         std::vector<std::string> others = {});

  // As Postfix sent them; an empty sender is that of a bounce, an empty login is none.
  [[nodiscard]] bool is(std::string_view sender, std::string_view login,
                        std::string_view client) const;
  // An event of a counter that several share names only one of them.
  [[nodiscard]] bool is(const policyd::Event& event) const;

  [[nodiscard]] const std::string& name() const { return name_; }
  // The form in which a sender is one name.
  [[nodiscard]] std::string sender_form(std::string_view sender) const;

 private:
  [[nodiscard]] bool names(std::string_view form) const;

  std::string name_;
  std::vector<std::string> others_;
  std::string domain_;  // of all whose mail is meant; empty: only of name_
  std::optional<policyd::IpAddress> ip_;
  std::optional<KeyNetwork> network_;
  policyd::Extensions extensions_;
};

}  // namespace limits
