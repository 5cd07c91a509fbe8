// SPDX-License-Identifier: AGPL-3.0-only
// The page as it is sent: HTML that shows without a script what is refused now, with a button for
// each to let him go on. Pure.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/base/clock.hpp"

namespace limits {

struct FirstPageContent {
  std::string host;
  std::string time_zone;
  std::string change_token;  // empty: this session may only read
  std::string who;           // is signed in
  std::string message;       // what the last button did; empty: none was pressed
  // As `refused --json` and `doctor --json` print them.
  const nlohmann::json& refused;
  const nlohmann::json* doctor = nullptr;  // null: it has not looked yet
};

std::string first_page(const FirstPageContent& content, policyd::TimePoint now);

// What somebody sees who is not signed in, or whose request was refused.
std::string plain_page(std::string_view title, std::string_view text);
// Goes on to the page. A redirection would not do: browsers leave out a SameSite=Strict cookie
// where a link of another site led here.
std::string signed_in_page();

// "3 h 10 min", "5 s": until then, rounded up to what matters; empty if it is past.
std::string time_until(double then_s, double now_s);

}  // namespace limits
