// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/notify/notice_state.hpp"

#include <fmt/core.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <nlohmann/json.hpp>

#include "daemon/base/read_file.hpp"
#include "daemon/base/replace_file.hpp"

namespace limits {
namespace {

using nlohmann::json;
using policyd::TimePoint;

constexpr std::size_t kMaxState = std::size_t{1} << 20;
constexpr mode_t kStateMode = 0640;
constexpr std::chrono::minutes kRunsWithin{10};

json json_time(const std::optional<TimePoint>& time) {
  return time ? json(time->time_since_epoch().count()) : json(nullptr);
}

std::optional<TimePoint> time_of(const json& value) {
  if (!value.is_number_integer()) return std::nullopt;
  return TimePoint{policyd::Millis{value.get<std::int64_t>()}};
}

NoticeState state_of(const json& from) {
  NoticeState state;
  for (const auto& [name, value] : from.at("channels").items()) {
    NoticeChannel& channel = state.channels[name];
    const json& told = value.at("told");
    if (!told.is_null()) channel.told = told.get<std::int64_t>();
    channel.at = time_of(value.at("at"));
    channel.problem = value.at("problem").get<std::string>();
    channel.on = value.at("on").get<std::map<std::string, std::string>>();
    channel.reported = time_of(value.at("reported"));
  }
  for (const auto& [name, value] : from.at("conditions").items()) {
    state.conditions[name] = {time_of(value.at("since")).value_or(TimePoint{}),
                              value.at("text").get<std::string>()};
  }
  state.postfix_read = time_of(from.at("postfix_read"));
  state.postfix_problem = from.at("postfix_problem").get<std::string>();
  return state;
}

}  // namespace

std::filesystem::path notice_state_file(const std::filesystem::path& zextras_home) {
  return zextras_home / "data" / "cbpolicyd" / "notify";
}

std::optional<TimePoint> stalled_since(const std::filesystem::path& file, TimePoint now) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0) return std::nullopt;
  const TimePoint last{std::chrono::seconds{status.st_mtim.tv_sec}};
  return now - last > kRunsWithin ? std::optional{last} : std::nullopt;
}

policyd::Result<std::optional<NoticeState>> read_notice_state(const std::filesystem::path& file) {
  const auto text = policyd::read_file(file, kMaxState);
  if (!text && text.error().code == ENOENT) return std::nullopt;
  if (!text && text.error().code != EFBIG) {
    return policyd::failure(fmt::format("cannot read {}: {}", file.string(), text.error().message));
  }
  const json read = json::parse(text.value_or(""), nullptr, false);
  try {
    return state_of(read);
  } catch (const json::exception&) {
    return NoticeState{};
  }
}

policyd::Result<void> write_notice_state(const std::filesystem::path& file,
                                         const NoticeState& state) {
  json channels = json::object();
  for (const auto& [name, channel] : state.channels) {
    channels[name] = {{"told", channel.told ? json(*channel.told) : json(nullptr)},
                      {"at", json_time(channel.at)},
                      {"problem", channel.problem},
                      {"on", channel.on},
                      {"reported", json_time(channel.reported)}};
  }
  json conditions = json::object();
  for (const auto& [name, condition] : state.conditions) {
    conditions[name] = {{"since", json_time(condition.since)}, {"text", condition.text}};
  }
  const json all = {{"channels", channels},
                    {"conditions", conditions},
                    {"postfix_read", json_time(state.postfix_read)},
                    {"postfix_problem", state.postfix_problem}};
  const auto done = policyd::replace_file(
      file, all.dump(1, ' ', false, json::error_handler_t::replace) + "\n", kStateMode);
  if (done) return {};
  return policyd::failure(fmt::format("cannot write {}: {}", file.string(), done.error().message));
}

}  // namespace limits
