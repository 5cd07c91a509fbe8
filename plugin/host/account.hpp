// SPDX-License-Identifier: AGPL-3.0-only
// An account of this Carbonio, as `carbonio prov` knows it: whether it may be blocked, under which
// other names it sends, and its zimbraAccountStatus, which `block --account` sets to locked. Each
// call starts a JVM (seconds).
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/result.hpp"
#include "hooks/carbonio/prov.hpp"

namespace limits {

inline constexpr std::string_view kLockedStatus = "locked";

struct CarbonioAccount {
  std::string name;  // "anna@example.org", whatever was asked for
  std::string status;
  bool system = false;  // spam training, quarantine and the like (zimbraIsSystemAccount)
  bool admin = false;   // also one of some domains only
  std::vector<std::string> aliases;  // it can log in and send under them, too
};

struct AccountAnswer {
  std::optional<CarbonioAccount> account;  // none: there is no such account
  std::string default_domain;              // of logins without one; empty: none
};

// `carbonio prov`, as the user that the local config names; an Error if that cannot be read.
policyd::Result<carbonio::Prov> prov_of(const std::filesystem::path& zextras_home,
                                        std::chrono::milliseconds deadline);

// An Error if Carbonio cannot be asked, or answers something else.
policyd::Result<AccountAnswer> ask_about_account(const carbonio::Prov& prov,
                                                 const std::string& name);

struct StatusChange {
  std::string now;
  bool changed = false;  // by us; else somebody else has changed it before
  bool gone = false;     // there is no such account any more
};
// Sets zimbraAccountStatus to `to` if it is `from`. An Error if it is not known what it is now.
policyd::Result<StatusChange> change_account_status(const carbonio::Prov& prov,
                                                    const std::string& name, std::string_view from,
                                                    const std::string& to);

// "carbonio prov ma anna@example.org zimbraAccountStatus active", to be typed.
std::string typed_status_change(const std::string& name, const std::string& status);

}  // namespace limits
