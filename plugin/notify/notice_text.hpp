// SPDX-License-Identifier: AGPL-3.0-only
// What a notice says, as sections of items; notice_mail makes text, HTML and mail of it. Pure, but
// for the local time zone.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "daemon/base/clock.hpp"
#include "plugin/notify/notice_due.hpp"
#include "plugin/notify/notice_items.hpp"
#include "plugin/rows/read_limits.hpp"

namespace limits {

struct NoticeSection {
  std::string title;
  std::vector<NoticeItem> items;
  std::string more;  // "and 9990 more counters"; empty if all are named
};
struct NoticeText {
  std::string subject;  // one line of ASCII
  std::string lead;     // before all sections, or empty
  std::vector<NoticeSection> sections;
  std::string closing;
};

// "[mta1] Mail limits: " and `what`, whatever it contains.
std::string notice_subject(const std::string& host, const std::string& what);
// Nothing if they are empty.
using MakeItem = std::function<NoticeItem(const policyd::Event&)>;
void add_group(NoticeText& out, std::string title, const NoticeGroup& group, const MakeItem& make);
void add_incidents(NoticeText& out, const NoticeIncidents& incidents, const MakeItem& make);

NoticeText describe(const Notice& notice, const NoticeContext& context, const std::string& host,
                    policyd::TimePoint now);
// The one that shows that notices arrive.
NoticeText notice_to_try(const std::string& host);

// "notice", "report" or "try", the host, the time, and the text.
nlohmann::json json_of(const NoticeText& text, const char* type, const std::string& host,
                       policyd::TimePoint now);
void add_json(nlohmann::json& out, const Notice& notice, const AllLimits& all);
void add_json(nlohmann::json& out, const NoticeGroups& groups, const AllLimits& all);

}  // namespace limits
