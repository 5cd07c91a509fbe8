// SPDX-License-Identifier: AGPL-3.0-only
// What the daily report says, for people and for programs. Pure, but for the local time zone.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "daemon/base/clock.hpp"
#include "plugin/notify/notice_text.hpp"
#include "plugin/notify/report.hpp"
#include "plugin/rows/read_limits.hpp"

namespace limits {

// No limit reached, nothing changed, and nothing wrong.
bool is_all_well(const DailyReport& report);

// If all is well, one line.
NoticeText describe(const DailyReport& report, const NoticeContext& context,
                    const std::string& host, policyd::TimePoint now);
void add_json(nlohmann::json& out, const DailyReport& report, const AllLimits& all);

}  // namespace limits
