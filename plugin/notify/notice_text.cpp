// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/notify/notice_text.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "plugin/events/refusals.hpp"
#include "plugin/notify/notice_mail.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/usage/track_key.hpp"

namespace limits {
namespace {

using policyd::Event;
using policyd::EventKind;
using policyd::TimePoint;

constexpr const char* kNoticeClosing =
    "'carbonio-limits refused' lists all refusals of the last 30 days; 'carbonio-limits notify "
    "--off' ends these notices.";

void add_sentences(NoticeText& out, std::string title, const std::vector<std::string>& sentences) {
  if (sentences.empty()) return;
  NoticeSection section{std::move(title), {}, {}};
  section.items.reserve(sentences.size());
  for (const std::string& sentence : sentences) section.items.push_back({escaped(sentence), {}});
  out.sections.push_back(std::move(section));
}

// A header of a mail: ASCII, one line.
std::string ascii_only(std::string_view text, std::size_t max) {
  std::string out;
  for (const char c : text.substr(0, std::min(text.size(), max))) {
    out += c >= ' ' && c < 0x7F ? c : '?';
  }
  if (text.size() > max) out += "...";
  return out;
}

constexpr std::size_t kMaxSubjectPart = 60;

// "anna@example.org and 4 more refused": a long name is cut, not what follows it.
std::string first_of(std::string name, std::size_t count, std::string_view what) {
  constexpr std::string_view kCut = "...";
  const std::string rest =
      count == 1 ? fmt::format(" {}", what) : fmt::format(" and {} more {}", count - 1, what);
  const std::size_t room = kMaxSubjectPart - std::min(rest.size() + kCut.size(), kMaxSubjectPart);
  if (name.size() + rest.size() > kMaxSubjectPart) {
    name.resize(std::min(name.size(), room));
    name += kCut;
  }
  return name + rest;
}

std::string subject_of(const Notice& notice) {
  if (!notice.begun.empty()) return notice.begun.front();
  const NoticeIncidents& incidents = notice.news.incidents;
  if (incidents.stopped > 0 && !incidents.named.empty()) {
    return first_of(key_text(incidents.named.front().track_key), incidents.stopped, "stopped");
  }
  const NoticeGroups& groups = notice.news.groups;
  const auto of = [&](const NoticeGroup& group, const char* what) {
    const std::string name = group.top.empty() ? std::string{} : refused_who(group.top.front());
    return first_of(name, group.counters, what);
  };
  if (groups.refused.counters > 0) return of(groups.refused, "refused");
  if (!incidents.named.empty()) {
    const auto& named = incidents.named;
    const auto last = std::find_if(named.rbegin(), named.rend(), [](const Event& event) {
      return event.kind != EventKind::suspect;
    });
    if (last == named.rend()) {
      return first_of(key_text(named.back().track_key), incidents.count,
                      incidents.count == 1 ? "stands out" : "stand out");
    }
    return last->kind == EventKind::rules ? "limits changed by hand" : "cluster";
  }
  if (groups.near.counters > 0) return of(groups.near, "near the limit");
  if (groups.watched.counters > 0) return of(groups.watched, "over a limit that only monitors");
  return "in order again";
}

nlohmann::json group_json(const NoticeGroup& group, const AllLimits& all) {
  nlohmann::json top = nlohmann::json::array();
  for (const Event& event : group.top) top.push_back(json_of(event, all));
  return {{"counters", group.counters}, {"times", group.times}, {"top", std::move(top)}};
}

}  // namespace

std::string notice_subject(const std::string& host, const std::string& what) {
  return ascii_only(fmt::format("[{}] Mail limits: ", host), kMaxSubjectPart) +
         ascii_only(what, kMaxSubjectPart);
}

void add_group(NoticeText& out, std::string title, const NoticeGroup& group, const MakeItem& make) {
  if (group.counters == 0) return;
  NoticeSection section{std::move(title), {}, {}};
  section.items.reserve(group.top.size());
  for (const Event& event : group.top) section.items.push_back(make(event));
  if (group.counters > group.top.size()) {
    const std::size_t more = group.counters - group.top.size();
    section.more = fmt::format("and {} more {}", more, of_number(more, "counter", "counters"));
  }
  out.sections.push_back(std::move(section));
}

void add_incidents(NoticeText& out, const NoticeIncidents& incidents, const MakeItem& make) {
  if (incidents.named.empty()) return;
  NoticeSection section{"Changes", {}, {}};
  section.items.reserve(incidents.named.size());
  for (const Event& event : incidents.named) section.items.push_back(make(event));
  if (incidents.count > incidents.named.size()) {
    section.more = fmt::format("and {} more", incidents.count - incidents.named.size());
  }
  out.sections.push_back(std::move(section));
}

NoticeText describe(const Notice& notice, const NoticeContext& context, const std::string& host,
                    TimePoint now) {
  NoticeText out;
  out.subject = notice_subject(host, subject_of(notice));
  add_sentences(out, "Wrong now", notice.begun);
  add_sentences(out, "No longer so", notice.ended);
  add_incidents(out, notice.news.incidents,
                [&](const Event& event) { return incident_item(event, context, now); });
  const NoticeGroups& groups = notice.news.groups;
  add_group(out, "Refused", groups.refused,
            [&](const Event& event) { return refused_item(event, context, now); });
  add_group(out, "Nearly used up", groups.near,
            [&](const Event& event) { return near_item(event, context.all, now); });
  add_group(out, "Over limits that only monitor", groups.watched,
            [&](const Event& event) { return watched_item(event, context.all, now); });
  out.closing = kNoticeClosing;
  return out;
}

NoticeText notice_to_try(const std::string& host) {
  NoticeText out;
  out.subject = notice_subject(host, "notices are on");
  out.lead = fmt::format(
      "This mail shows that notices of {} arrive. From now on it says here whose mail is refused, "
      "whose limit is nearly used up, and what is wrong.",
      escaped(host));
  out.closing = kNoticeClosing;
  return out;
}

nlohmann::json json_of(const NoticeText& text, const char* type, const std::string& host,
                       TimePoint now) {
  return {{"type", type},
          {"host", host},
          {"now", policyd::to_seconds(now)},
          {"subject", text.subject},
          {"text", plain_text(text)}};
}

void add_json(nlohmann::json& out, const Notice& notice, const AllLimits& all) {
  nlohmann::json incidents = nlohmann::json::array();
  for (const Event& event : notice.news.incidents.named) incidents.push_back(json_of(event, all));
  out["wrong"] = notice.begun;
  out["ended"] = notice.ended;
  out["incidents"] = std::move(incidents);
  add_json(out, notice.news.groups, all);
}

void add_json(nlohmann::json& out, const NoticeGroups& groups, const AllLimits& all) {
  out["refused"] = group_json(groups.refused, all);
  out["near"] = group_json(groups.near, all);
  out["watched"] = group_json(groups.watched, all);
}

}  // namespace limits
