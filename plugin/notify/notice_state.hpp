// SPDX-License-Identifier: AGPL-3.0-only
// What notices were about so far: a file beside the mark of the service, which exists while notices
// are switched on. It is all that one run of `notify --due` leaves to the next.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/base/result.hpp"

namespace limits {

// Mail and the admin's program get their notices independently of each other.
struct NoticeChannel {
  // The last ID of limits_events that was in a notice, or when they began; none while the database
  // has not been read since.
  std::optional<std::int64_t> told;
  std::optional<policyd::TimePoint> at;   // of the last notice, sent or not
  std::string problem;                    // why that was not sent; empty if it was
  std::map<std::string, std::string> on;  // conditions that it was told have begun, with their text
  std::optional<policyd::TimePoint> reported;  // the last daily report, or when they began

  bool operator==(const NoticeChannel&) const = default;
};

// Something that lasts, such as that all mail is deferred.
struct NoticeCondition {
  policyd::TimePoint since{};
  std::string text;  // a sentence

  bool operator==(const NoticeCondition&) const = default;
};

struct NoticeState {
  std::map<std::string, NoticeChannel> channels;  // "mail", "command"
  std::map<std::string, NoticeCondition> conditions;
  // Postfix's configuration is not read each minute.
  std::optional<policyd::TimePoint> postfix_read;
  std::string postfix_problem;

  bool operator==(const NoticeState&) const = default;
};

// What runs `notify --due` each minute, where systemd does; cron elsewhere.
inline constexpr const char* kNotifyTimer = "carbonio-limits-notify.timer";

std::filesystem::path notice_state_file(const std::filesystem::path& zextras_home);
// When `notify --due` ran last, which writes the file each time, if that is longer ago than it
// should be; nullopt: it runs, or there is no file.
std::optional<policyd::TimePoint> stalled_since(const std::filesystem::path& file,
                                                policyd::TimePoint now);

// nullopt: there is none, notices are off. A file that is damaged counts as one without memory.
policyd::Result<std::optional<NoticeState>> read_notice_state(const std::filesystem::path& file);
policyd::Result<void> write_notice_state(const std::filesystem::path& file,
                                         const NoticeState& state);

}  // namespace limits
