// SPDX-License-Identifier: AGPL-3.0-only
// Links that sign somebody in to the page: `web link` stores one, and the page's process takes it,
// which works once and for ten minutes. A file for each in a folder that only its owner can read.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/base/clock.hpp"
#include "daemon/base/result.hpp"

namespace limits {

inline constexpr std::chrono::minutes kLinkLasts{10};

struct Link {
  std::string who;     // made it: "root on pts/0 (sudo by anna)"
  bool write = false;  // what is opened by it may change something
  policyd::TimePoint ends{};
};

// Below data/cbpolicyd.
std::filesystem::path link_folder(const std::filesystem::path& zextras_home);

// The token of a new link; those that have ended are removed. As the user who runs the page.
policyd::Result<std::string> make_link(const std::filesystem::path& folder, std::string who,
                                       bool write, policyd::TimePoint now);

// The link of a token, which from now on is none. nullopt: there was none, or it has ended.
std::optional<Link> take_link(const std::filesystem::path& folder, std::string_view token,
                              policyd::TimePoint now);

}  // namespace limits
