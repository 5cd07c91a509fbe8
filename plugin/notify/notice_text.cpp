// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/notify/notice_text.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

#include "daemon/base/printable.hpp"
#include "daemon/base/shell_words.hpp"
#include "plugin/events/refusals.hpp"
#include "plugin/events/since.hpp"
#include "plugin/limit/target.hpp"
#include "plugin/limit_text/limit_line.hpp"
#include "plugin/terminal/output.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/usage/headlines.hpp"
#include "plugin/usage/track_key.hpp"

namespace limits {
namespace {

using policyd::Event;
using policyd::EventKind;
using policyd::TimePoint;

constexpr std::size_t kMaxSubjectName = 60;

const StoredLimit* limit_with_row(const AllLimits& all, const Event& event) {
  if (event.module != "Quotas") return nullptr;
  for (const StoredLimit& limit : all.limits) {
    for (const StoredRate& rate : limit.rates) {
      if (rate.limit_id == event.row_id) return &limit;
    }
  }
  return nullptr;
}

// "limit 3 (everyone: 100/h per user, defer)"
std::string limit_words(const AllLimits& all, const Event& event) {
  const StoredLimit* limit = limit_with_row(all, event);
  const std::string name = refused_by(all, event);
  return limit == nullptr ? name : fmt::format("{} ({})", name, escaped(describe(*limit)));
}

std::string times_words(std::uint64_t times) {
  return times == 1 ? "once" : times == 2 ? "twice" : fmt::format("{} times", times);
}

// What stands between the counter's kind and its end: "anna@example.org".
std::optional<std::string> name_in(std::string_view key, std::string_view kind) {
  if (!key.starts_with(kind)) return std::nullopt;
  return std::string{key.substr(kind.size())};
}

// How nearly all mail of the same sender is refused (no limit lets nothing through), from wherever
// the limit that refused it counts. Nothing for counters that others share, and for names that
// 'send' does not take.
std::string blocking_command(const Event& event, const StoredLimit* limit) {
  const auto made = [](const char* option, std::string_view name, const char* more = "") {
    return fmt::format("carbonio-limits send 1/30day {} {}{} --verdict reject", option,
                       policyd::shell_word(name), more);
  };
  if (const auto sender = name_in(event.track_key, "Sender:")) {
    if (!parse_user(*sender) || sender->front() == '-') return {};
    const bool anywhere =
        limit != nullptr && limit->what.target &&
        (limit->what.target->who == Who::anyone || limit->what.target->from_anywhere);
    return made("--user", *sender, anywhere ? " --anyone" : "");
  }
  if (const auto login = name_in(event.track_key, "SASLUsername:")) {
    return !parse_login(*login) || login->front() == '-' ? "" : made("--login", *login);
  }
  if (name_in(event.track_key, "SenderIP:")) return made("--client", key_text(event.track_key));
  return {};
}

// How the counter is cleared: of a limit only, since Accounting's counters are not ours to clear.
std::string freeing_command(const Event& event, const StoredLimit* limit) {
  if (limit == nullptr || !policyd::is_printable(event.track_key)) return {};
  if (event.track_key == kSharedKey)
    return fmt::format("carbonio-limits reset --limit {}", limit->id);
  const std::string name = key_text(event.track_key);
  if (name.empty() || name.front() == '-' || name == event.track_key) return {};
  return fmt::format("carbonio-limits reset {} --limit {}", policyd::shell_word(name), limit->id);
}

void add_command(NoticeItem& item, std::string_view label, const std::string& command) {
  // What cannot be typed is not offered.
  if (!command.empty() && policyd::is_printable(command))
    item.commands.emplace_back(label, command);
}

std::string span_words(const Event& event, TimePoint now) {
  const std::string first = short_time_text(event.first, now);
  const std::string last = short_time_text(event.last, now);
  return first == last ? "at " + first : fmt::format("{} to {}", first, last);
}

NoticeItem refused_item(const Event& event, const AllLimits& all, TimePoint now) {
  NoticeItem item;
  item.text = fmt::format("{}: refused {}, {}, by {}", refused_who(event), times_words(event.times),
                          span_words(event, now), limit_words(all, event));
  if (!event.client.empty())
    item.text += fmt::format(", the last time from {}", escaped(event.client));
  if (!event.login.empty() && event.track_key != "SASLUsername:" + event.login) {
    item.text += fmt::format(" as {}", escaped(event.login));
  }
  item.text += '.';
  if (event.free_at && *event.free_at > now) {
    item.text += fmt::format(" Free {}.", wait_text(event.free_at, now, true));
  }
  add_command(item, "clears the counter", freeing_command(event, limit_with_row(all, event)));
  add_command(item, "stops the sender, but for one mail in 30 days",
              blocking_command(event, limit_with_row(all, event)));
  return item;
}

NoticeItem near_item(const Event& event, const AllLimits& all, TimePoint now) {
  NoticeItem item;
  item.text = fmt::format("{}: ", refused_who(event));
  if (event.used && event.limit)
    item.text += fmt::format("{:g} of {:g} used, ", *event.used, *event.limit);
  item.text += fmt::format("{}, of {}.", span_words(event, now), limit_words(all, event));
  add_command(item, "clears the counter", freeing_command(event, limit_with_row(all, event)));
  return item;
}

NoticeItem watched_item(const Event& event, const AllLimits& all, TimePoint now) {
  return {fmt::format("{}: {}, {}, by {}.", refused_who(event), times_words(event.times),
                      span_words(event, now), limit_words(all, event)),
          {}};
}

NoticeItem incident_item(const Event& event, TimePoint now) {
  std::string what;
  if (event.kind == EventKind::rules) {
    what = "the limits were changed";
  } else if (event.kind == EventKind::engine_lost) {
    what = "this host no longer shares its limits with the others";
  } else {
    what = "this host shares its limits with the others again";
  }
  NoticeItem item{fmt::format("{}  {}", short_time_text(event.first, now), what), {}};
  if (!event.detail.empty()) item.text += fmt::format(" ({})", escaped(event.detail));
  item.text += '.';
  if (event.kind == EventKind::rules) add_command(item, "shows them", "carbonio-limits list");
  if (event.kind == EventKind::engine_lost) {
    add_command(item, "shows more", "carbonio-limits cluster status");
  }
  return item;
}

template <typename MakeItem>
void add_group(NoticeText& out, std::string title, const NoticeGroup& group, MakeItem make) {
  if (group.counters == 0) return;
  NoticeSection section{std::move(title), {}, {}};
  for (const Event& event : group.top) section.items.push_back(make(event));
  if (group.counters > group.top.size()) {
    section.more =
        fmt::format("and {} more", counted(group.counters - group.top.size(), "counter"));
  }
  out.sections.push_back(std::move(section));
}

void add_sentences(NoticeText& out, std::string title, const std::vector<std::string>& sentences) {
  if (sentences.empty()) return;
  NoticeSection section{std::move(title), {}, {}};
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

std::string subject_of(const Notice& notice) {
  if (!notice.begun.empty()) return notice.begun.front();
  const NoticeNews& news = notice.news;
  const auto of = [](const NoticeGroup& group, const char* what) {
    const std::string name = group.top.empty() ? std::string{} : refused_who(group.top.front());
    return group.counters == 1 ? fmt::format("{} {}", name, what)
                               : fmt::format("{} and {} more {}", name, group.counters - 1, what);
  };
  if (news.refused.counters > 0) return of(news.refused, "refused");
  if (news.incidents > 0) {
    return news.latest.back().kind == EventKind::rules ? "limits changed by hand" : "cluster";
  }
  if (news.near.counters > 0) return of(news.near, "near the limit");
  if (news.watched.counters > 0) return of(news.watched, "beyond a watched limit");
  return "in order again";
}

// As the shell takes it on several lines.
std::vector<std::string> command_lines(const std::string& command, std::size_t width) {
  constexpr std::size_t kMark = 2;
  if (width_of(command) <= width) return {command};
  auto lines = wrapped(command, width - kMark);
  for (std::size_t i = 0; i + 1 < lines.size(); ++i) lines[i] += " \\";
  return lines;
}

std::string html_escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

// RFC 2045: lines of 7-bit characters, 76 at most.
std::string quoted_printable(std::string_view text) {
  constexpr std::size_t kMaxLine = 75;
  std::string out;
  std::size_t column = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\n') {
      out += c;
      column = 0;
      continue;
    }
    const bool at_end = i + 1 == text.size() || text[i + 1] == '\n';
    const bool plain =
        (c > ' ' && c < 0x7F && c != '=' && !(c == '.' && column == 0)) || (c == ' ' && !at_end);
    const std::string piece =
        plain ? std::string(1, c) : fmt::format("={:02X}", static_cast<unsigned char>(c));
    if (column + piece.size() > kMaxLine) {
      out += "=\n";
      column = 0;
    }
    out += piece;
    column += piece.size();
  }
  return out;
}

nlohmann::json group_json(const NoticeGroup& group, const AllLimits& all) {
  nlohmann::json top = nlohmann::json::array();
  for (const Event& event : group.top) top.push_back(json_of(event, all));
  return {{"counters", group.counters}, {"times", group.times}, {"top", std::move(top)}};
}

}  // namespace

NoticeText describe(const Notice& notice, const AllLimits& all, const std::string& host,
                    TimePoint now) {
  NoticeText out;
  out.subject = ascii_only(fmt::format("[{}] Mail limits: ", host), kMaxSubjectName) +
                ascii_only(subject_of(notice), kMaxSubjectName);
  add_sentences(out, "Wrong now", notice.begun);
  add_sentences(out, "No longer so", notice.ended);
  NoticeSection incidents{"Changes", {}, {}};
  for (const Event& event : notice.news.latest)
    incidents.items.push_back(incident_item(event, now));
  if (notice.news.incidents > notice.news.latest.size()) {
    incidents.more = fmt::format("and {} more", notice.news.incidents - notice.news.latest.size());
  }
  if (!incidents.items.empty()) out.sections.push_back(std::move(incidents));
  add_group(out, "Refused", notice.news.refused,
            [&](const Event& event) { return refused_item(event, all, now); });
  add_group(out, "Nearly used up", notice.news.near,
            [&](const Event& event) { return near_item(event, all, now); });
  add_group(out, "Beyond limits that only watch", notice.news.watched,
            [&](const Event& event) { return watched_item(event, all, now); });
  return out;
}

NoticeText notice_to_try(const std::string& host) {
  NoticeText out;
  out.subject =
      ascii_only(fmt::format("[{}] Mail limits: notices are on", host), 2 * kMaxSubjectName);
  out.sections.push_back(
      {"Notices are on",
       {{fmt::format(
             "This mail shows that notices of {} arrive. From now on it says here whose mail "
             "is refused, whose limit is nearly used up, and what is wrong.",
             escaped(host)),
         {{"shows the present use", "carbonio-limits usage"}}}},
       {}});
  return out;
}

std::string plain_text(const NoticeText& notice) {
  std::string out;
  const auto add = [&](const std::vector<std::string>& lines, std::size_t indent) {
    for (const std::string& line : lines) out += std::string(indent, ' ') + line + '\n';
  };
  for (const NoticeSection& section : notice.sections) {
    out += section.title + "\n\n";
    for (const NoticeItem& item : section.items) {
      add(wrapped(item.text, kNoticeWidth - 2), 2);
      for (const auto& [label, command] : item.commands) {
        out += fmt::format("    {}:\n", label);
        add(command_lines(command, kNoticeWidth - 6), 6);
      }
      out += '\n';
    }
    if (!section.more.empty()) out += fmt::format("  {}\n\n", section.more);
  }
  add(wrapped("'carbonio-limits refused' lists all refusals of the last 30 days; "
              "'carbonio-limits notify --off' ends these notices.",
              kNoticeWidth),
      0);
  return out;
}

std::string html_text(const NoticeText& notice) {
  std::string out = "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"></head><body>\n";
  const auto add = [&](std::string_view tag, std::string_view text) {
    out += fmt::format("<{}>{}</{}>\n", tag, html_escaped(text), tag);
  };
  for (const NoticeSection& section : notice.sections) {
    add("h3", section.title);
    for (const NoticeItem& item : section.items) {
      add("p", item.text);
      for (const auto& [label, command] : item.commands) {
        out +=
            fmt::format("<p>{}: <code>{}</code></p>\n", html_escaped(label), html_escaped(command));
      }
    }
    if (!section.more.empty()) add("p", section.more);
  }
  out +=
      "<p><code>carbonio-limits refused</code> lists all refusals of the last 30 days; "
      "<code>carbonio-limits notify --off</code> ends these notices.</p>\n</body></html>\n";
  return out;
}

std::string mail_of(const NoticeText& notice, const std::vector<std::string>& to) {
  // '=' followed by '_' is nothing that the encoding of the parts contains.
  constexpr std::string_view kBoundary = "=_carbonio-limits_=";
  std::string out = "To: ";
  for (std::size_t i = 0; i < to.size(); ++i) out += (i == 0 ? "" : ",\n ") + to[i];
  out += fmt::format(
      "\nSubject: {}\nAuto-Submitted: auto-generated\nMIME-Version: 1.0\n"
      "Content-Type: multipart/alternative; boundary=\"{}\"\n",
      notice.subject, kBoundary);
  const auto add = [&](std::string_view type, const std::string& text) {
    out += fmt::format(
        "\n--{}\nContent-Type: text/{}; charset=utf-8\n"
        "Content-Transfer-Encoding: quoted-printable\n\n{}",
        kBoundary, type, quoted_printable(text));
  };
  add("plain", plain_text(notice));
  add("html", html_text(notice));
  return out + fmt::format("\n--{}--\n", kBoundary);
}

nlohmann::json json_of(const Notice& notice, const NoticeText& text, const AllLimits& all,
                       const std::string& host, TimePoint now) {
  nlohmann::json incidents = nlohmann::json::array();
  for (const Event& event : notice.news.latest) incidents.push_back(json_of(event, all));
  return {{"host", host},
          {"now", policyd::to_seconds(now)},
          {"subject", text.subject},
          {"text", plain_text(text)},
          {"wrong", notice.begun},
          {"ended", notice.ended},
          {"incidents", std::move(incidents)},
          {"refused", group_json(notice.news.refused, all)},
          {"near", group_json(notice.news.near, all)},
          {"watched", group_json(notice.news.watched, all)}};
}

}  // namespace limits
