// SPDX-License-Identifier: AGPL-3.0-only
// Whose address anna+news@example.org is: in an own domain anna's, if '+' is Postfix's
// recipient_delimiter. Of other domains the delimiter is not known, and each of their addresses
// stands for itself: a mailing list may send each mail from another one. Read-only once built; any
// thread.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "daemon/base/mail_address.hpp"
#include "daemon/rules/match/rows.hpp"

namespace policyd {

// The domains of group internal_domains, and of the groups in it.
class OwnDomains {
 public:
  static constexpr std::string_view kGroup = "internal_domains";

  OwnDomains() = default;
  explicit OwnDomains(std::span<const GroupRow> groups);

  // `domain` in the form of names.
  [[nodiscard]] bool hold(std::string_view domain) const;

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>{}(text);
    }
  };

  void add(std::string_view text, std::vector<std::string>& groups);

  std::unordered_set<std::string, Hash, std::equal_to<>> names_;
  std::vector<std::string> patterns_;
};

// How extensions are left off. By default they are not.
class Extensions {
 public:
  Extensions() = default;
  // Both must outlive this.
  Extensions(std::string_view delimiters, const OwnDomains& own)
      : delimiters_(delimiters), own_(&own) {}

  // The local part without the extension, if the address has one. An address without a domain is
  // of this host.
  [[nodiscard]] std::string_view user_of(std::string_view address) const {
    return delimiters_.empty() ? local_part_of(address) : split(address);
  }

 private:
  [[nodiscard]] std::string_view split(std::string_view address) const;

  std::string_view delimiters_;
  const OwnDomains* own_ = nullptr;
};

// The address without the extension.
[[nodiscard]] std::string without_extension(std::string_view address, const Extensions& extensions);

}  // namespace policyd
