// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/notify/report_text.hpp"

#include <fmt/core.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "plugin/events/refusals.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/usage/headlines.hpp"

namespace limits {
namespace {

using policyd::Event;
using policyd::TimePoint;

constexpr const char* kReportClosing =
    "'carbonio-limits refused --since yesterday' lists all refusals; 'carbonio-limits notify "
    "--report off' ends these reports.";

// "3 counters, 71 times"
std::string figures_of(const NoticeGroup& group) {
  return group.counters == 0
             ? "none"
             : fmt::format("{}, {}", counted(group.counters, "counter"), times_words(group.times));
}

// " (a week before: 11876)"
std::string compared(const std::optional<std::uint64_t>& before) {
  return before ? fmt::format(" (a week before: {})", *before) : std::string{};
}

std::string group_title(std::string_view what, const NoticeGroup& group,
                        const std::optional<NoticeGroups>& before,
                        NoticeGroup NoticeGroups::*which) {
  std::string out = fmt::format("{}: {}", what, figures_of(group));
  if (before) out += fmt::format(" (a week before: {})", figures_of((*before).*which));
  return out;
}

// Commands were in the notices.
NoticeItem without_commands(NoticeItem item) {
  item.commands.clear();
  return item;
}

void add_senders(NoticeText& out, const DailyReport& report) {
  if (report.senders.empty()) return;
  NoticeSection section{"Most messages", {}, {}};
  section.items.reserve(report.senders.size());
  for (const TopSender& sender : report.senders) {
    const auto before = report.messages_before ? std::optional{sender.week_before} : std::nullopt;
    section.items.push_back({fmt::format("{}: {}{}", escaped(sender.name),
                                         counted(sender.messages, "message"), compared(before)),
                             {}});
  }
  out.sections.push_back(std::move(section));
}

std::string report_subject(const DailyReport& report) {
  if (is_all_well(report)) return "daily report: all well";
  std::string out = "daily report: ";
  const std::size_t refused = report.groups.refused.counters;
  out += refused == 0 ? "none refused" : fmt::format("{} refused", refused);
  if (!report.problems.empty()) out += ", " + counted(report.problems.size(), "problem");
  return out;
}

}  // namespace

bool is_all_well(const DailyReport& report) {
  return report.groups.counters() + report.changes.count + report.problems.size() == 0;
}

NoticeText describe(const DailyReport& report, const NoticeContext& context,
                    const std::string& host, TimePoint now) {
  constexpr std::size_t kDate = 10;
  constexpr std::size_t kToMinute = 16;
  const std::string end = local_time_text(report.to).substr(0, kToMinute);
  NoticeText out;
  out.subject = notice_subject(host, report_subject(report));
  if (is_all_well(report)) {
    out.lead = fmt::format("The day until {}: {}, no limit reached, nothing wrong.",
                           end.substr(kDate + 1), counted(report.messages, "message"));
    return out;
  }
  out.lead =
      fmt::format("{}, the day until {}: users of this server sent {}{}.", escaped(host), end,
                  counted(report.messages, "message"), compared(report.messages_before));
  if (!report.problems.empty()) {
    out.sections.push_back(
        {fmt::format("Wrong now: doctor finds {}", counted(report.problems.size(), "problem")),
         report.problems,
         {}});
  }
  const NoticeGroups& groups = report.groups;
  add_group(
      out, group_title("Refused", groups.refused, report.groups_before, &NoticeGroups::refused),
      groups.refused,
      [&](const Event& event) { return without_commands(refused_item(event, context, now)); });
  add_group(
      out, group_title("Nearly used up", groups.near, report.groups_before, &NoticeGroups::near),
      groups.near,
      [&](const Event& event) { return without_commands(near_item(event, context.all, now)); });
  add_group(out,
            group_title("Over limits that only monitor", groups.watched, report.groups_before,
                        &NoticeGroups::watched),
            groups.watched,
            [&](const Event& event) { return watched_item(event, context.all, now); });
  add_senders(out, report);
  add_incidents(out, report.changes, [&](const Event& event) {
    return without_commands(incident_item(event, context, now));
  });
  out.closing = kReportClosing;
  return out;
}

void add_json(nlohmann::json& out, const DailyReport& report, const AllLimits& all) {
  nlohmann::json senders = nlohmann::json::array();
  for (const TopSender& sender : report.senders) {
    nlohmann::json week_before = nullptr;
    if (report.messages_before) week_before = sender.week_before;
    senders.push_back({{"name", sender.name},
                       {"messages", sender.messages},
                       {"week_before", std::move(week_before)}});
  }
  nlohmann::json changes = nlohmann::json::array();
  for (const Event& event : report.changes.named) changes.push_back(json_of(event, all));
  nlohmann::json problems = nlohmann::json::array();
  for (const NoticeItem& item : report.problems) problems.push_back(item.text);
  out["from"] = policyd::to_seconds(report.from);
  out["to"] = policyd::to_seconds(report.to);
  out["messages"] = report.messages;
  out["messages_week_before"] =
      report.messages_before ? nlohmann::json(*report.messages_before) : nlohmann::json(nullptr);
  out["senders"] = std::move(senders);
  out["changes"] = std::move(changes);
  out["problems"] = std::move(problems);
  add_json(out, report.groups, all);
}

}  // namespace limits
