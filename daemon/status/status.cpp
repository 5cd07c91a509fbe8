// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/status/status.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

#include "daemon/base/read_file.hpp"

namespace policyd {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int kFormat = 1;
constexpr std::size_t kMaxBytes = std::size_t{4} << 20;

// Times in the file are seconds since 1970 with fraction.
TimePoint from_seconds(double seconds) {
  constexpr double kMax = 1e11;
  return TimePoint{Millis{std::llround(std::clamp(seconds, 0.0, kMax) * 1000)}};
}

// Throws nlohmann's exceptions.
Status status_of(const json& from) {
  if (from.at("format").get<int>() != kFormat) throw std::runtime_error("unknown format");
  Status status;
  status.pid = from.at("pid").get<std::int64_t>();
  status.process_start = from.at("process_start").get<std::uint64_t>();
  status.version = from.at("version").get<std::string>();
  status.started = from_seconds(from.at("started").get<double>());
  status.database = from.at("database").get<std::string>();
  status.open_log = from.value("open_log", "");
  if (const json& trouble = from.at("trouble"); !trouble.is_null()) {
    status.trouble = Status::Trouble{trouble.at("what").get<std::string>(),
                                     from_seconds(trouble.at("since").get<double>()),
                                     trouble.at("unstored").get<std::uint64_t>()};
  }
  // Absent in the file of an earlier version, which may still run after an upgrade.
  if (const auto pause = from.find("pause"); pause != from.end() && !pause->is_null()) {
    status.pause = Pause{from_seconds(pause->at("until").get<double>()),
                         pause->at("counted").get<bool>(), pause->value("who", "")};
  }
  if (const auto cluster = from.find("cluster"); cluster != from.end() && !cluster->is_null()) {
    status.cluster = Status::Cluster{
        cluster->at("node").get<std::string>(),        cluster->at("sharing").get<bool>(),
        cluster->at("trouble").get<std::string>(),     cluster->at("hosts").get<std::uint64_t>(),
        cluster->at("clock_ahead").get<double>(),      cluster->at("round_trip").get<double>(),
        cluster->at("questions").get<std::uint64_t>(), cluster->at("alone").get<std::uint64_t>(),
        cluster->at("late").get<std::uint64_t>(),      cluster->value("rules", std::int64_t{0})};
  }
  status.lost_log_lines = from.value("lost_log_lines", std::uint64_t{0});
  status.lost_log_why = from.value("lost_log_why", "");
  const json& rules = from.at("rules");
  if (!rules.at("version").is_null()) {
    status.rules_version = rules.at("version").get<std::int64_t>();
  }
  status.policies = rules.at("policies").get<std::uint64_t>();
  status.rule_problems = rules.at("problems").get<std::uint64_t>();
  status.all_mail_deferred = rules.value("all_mail_deferred", "");
  status.modules = from.at("modules").get<std::vector<std::string>>();
  status.algorithm = from.at("algorithm").get<std::string>();
  status.connections = from.at("connections").get<std::uint64_t>();
  status.sessions = from.at("sessions").get<std::uint64_t>();
  status.requests = from.at("requests").get<std::uint64_t>();
  status.batches = from.at("batches").get<std::uint64_t>();
  status.refused = from.at("refused").get<std::uint64_t>();
  // A daemon of an earlier version may still be running.
  if (const auto unusable = from.find("refused_requests"); unusable != from.end()) {
    status.refused_requests = {unusable->at("count").get<std::uint64_t>(),
                               unusable->at("last").get<std::string>(),
                               from_seconds(unusable->at("last_at").get<double>())};
  }
  if (const auto times = from.find("times"); times != from.end()) {
    const auto requests = times->at("requests").get<std::vector<std::uint64_t>>();
    if (requests.size() == status.times.requests.size()) {  // other versions may have other bounds
      std::copy(requests.begin(), requests.end(), status.times.requests.begin());
      status.times.sum = std::chrono::nanoseconds{times->at("nanoseconds").get<std::int64_t>()};
    }
  }
  for (const json& row : from.value("happened", json::array())) {
    status.happened.push_back({row.at(0).get<std::string>(), row.at(1).get<std::string>(),
                               row.at(2).get<std::int64_t>(), row.at(3).get<std::string>(),
                               row.at(4).get<std::uint64_t>()});
  }
  status.events_lost = from.value("events_lost", std::uint64_t{0});
  status.longest_refusal = Millis{from.value("longest_refusal_ms", std::int64_t{0})};
  for (const json& row : from.value("most_refused", json::array())) {
    status.most_refused.push_back({row.at(0).get<std::string>(), row.at(1).get<std::int64_t>(),
                                   row.at(2).get<std::string>(), row.at(3).get<std::uint64_t>()});
  }
  return status;
}

}  // namespace

fs::path status_file_of(const fs::path& pid_file) {
  fs::path file = pid_file;
  if (file.extension() == ".pid") file.replace_extension();
  return file += ".status.json";
}

std::string status_json(const Status& status) {
  json trouble = nullptr;
  if (status.trouble) {
    trouble = {{"what", status.trouble->what},
               {"since", to_seconds(status.trouble->since)},
               {"unstored", status.trouble->unstored}};
  }
  json cluster = nullptr;
  if (status.cluster) {
    cluster = {{"node", status.cluster->node},
               {"sharing", status.cluster->sharing},
               {"trouble", status.cluster->trouble},
               {"hosts", status.cluster->hosts},
               {"clock_ahead", status.cluster->clock_ahead_s},
               {"round_trip", status.cluster->round_trip_s},
               {"questions", status.cluster->questions},
               {"alone", status.cluster->alone},
               {"late", status.cluster->late},
               {"rules", status.cluster->rules}};
  }
  json pause = nullptr;
  if (status.pause) {
    pause = {{"until", to_seconds(status.pause->until)},
             {"counted", status.pause->counted},
             {"who", status.pause->who}};
  }
  json happened = json::array();
  for (const Status::Happened& row : status.happened) {
    happened.push_back({row.kind, row.module, row.row_id, row.verdict, row.times});
  }
  json most_refused = json::array();
  for (const Status::Refused& row : status.most_refused) {
    most_refused.push_back({row.module, row.row_id, row.track_key, row.times});
  }
  const json times = {{"requests", status.times.requests},
                      {"nanoseconds", status.times.sum.count()}};
  json rules_version = nullptr;
  if (status.rules_version) rules_version = *status.rules_version;
  const json out = {{"format", kFormat},
                    {"pid", status.pid},
                    {"process_start", status.process_start},
                    {"version", status.version},
                    {"started", to_seconds(status.started)},
                    {"database", status.database},
                    {"open_log", status.open_log},
                    {"trouble", trouble},
                    {"pause", pause},
                    {"cluster", cluster},
                    {"lost_log_lines", status.lost_log_lines},
                    {"lost_log_why", status.lost_log_why},
                    {"rules",
                     {{"version", rules_version},
                      {"policies", status.policies},
                      {"problems", status.rule_problems},
                      {"all_mail_deferred", status.all_mail_deferred}}},
                    {"modules", status.modules},
                    {"algorithm", status.algorithm},
                    {"connections", status.connections},
                    {"sessions", status.sessions},
                    {"requests", status.requests},
                    {"batches", status.batches},
                    {"refused", status.refused},
                    {"times", times},
                    {"happened", happened},
                    {"events_lost", status.events_lost},
                    {"longest_refusal_ms", status.longest_refusal.count()},
                    {"most_refused", most_refused},
                    {"refused_requests",
                     {{"count", status.refused_requests.count},
                      {"last", status.refused_requests.last},
                      {"last_at", to_seconds(status.refused_requests.last_at)}}}};
  // Keys may contain any bytes; invalid UTF-8 becomes U+FFFD.
  return out.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

Result<Status> parse_status(std::string_view text) {
  try {
    return status_of(json::parse(text));
  } catch (const std::exception& error) {
    return failure(fmt::format("not a status of the daemon: {}", error.what()));
  }
}

std::uint64_t process_start(std::int64_t pid) {
  std::ifstream in{fmt::format("/proc/{}/stat", pid)};
  std::string line;
  if (!std::getline(in, line)) return 0;
  // Field 22. The name, field 2, ends at the last parenthesis and may contain anything.
  constexpr int kFieldsAfterName = 20;
  std::size_t at = line.rfind(')');
  if (at == std::string::npos) return 0;
  for (int field = 0; field < kFieldsAfterName; ++field) {
    at = line.find(' ', at + 1);
    if (at == std::string::npos) return 0;
  }
  std::uint64_t ticks = 0;
  std::from_chars(line.data() + at + 1, line.data() + line.size(), ticks);
  return ticks;
}

Result<std::optional<Status>> read_status(const fs::path& file) {
  const auto text = read_file(file, kMaxBytes);
  if (!text && text.error().code == ENOENT) return std::nullopt;
  if (!text) return failure(fmt::format("cannot read {}: {}", file.string(), text.error().message));
  auto status = parse_status(*text);
  if (!status) return failure(fmt::format("{}: {}", file.string(), status.error().message));
  const std::uint64_t started = process_start(status->pid);
  if (started == 0 || started != status->process_start) return std::nullopt;
  return std::move(*status);
}

}  // namespace policyd
