// SPDX-License-Identifier: AGPL-3.0-only
// What a notice says, for people and for programs. Names in it come from strangers, so whatever
// they contain can neither break a line nor become markup. Pure, but for the local time zone.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "daemon/base/clock.hpp"
#include "plugin/notify/notice_due.hpp"
#include "plugin/rows/read_limits.hpp"

namespace limits {

struct NoticeItem {
  std::string text;  // a sentence or two
  // "clears the counter", and what is typed for it.
  std::vector<std::pair<std::string, std::string>> commands;
};
struct NoticeSection {
  std::string title;
  std::vector<NoticeItem> items;
  std::string more;  // "and 9,990 others"; empty if all are named
};
struct NoticeText {
  std::string subject;  // one line of ASCII
  std::vector<NoticeSection> sections;
};

inline constexpr std::size_t kNoticeWidth = 72;

NoticeText describe(const Notice& notice, const AllLimits& all, const std::string& host,
                    policyd::TimePoint now);
// The one that shows that notices arrive.
NoticeText notice_to_try(const std::string& host);

std::string plain_text(const NoticeText& notice);
std::string html_text(const NoticeText& notice);
// Header and both parts, as a sendmail program takes it; it adds From and Date.
std::string mail_of(const NoticeText& notice, const std::vector<std::string>& to);

nlohmann::json json_of(const Notice& notice, const NoticeText& text, const AllLimits& all,
                       const std::string& host, policyd::TimePoint now);

}  // namespace limits
