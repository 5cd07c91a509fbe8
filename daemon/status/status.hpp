// SPDX-License-Identifier: AGPL-3.0-only
// What the daemon reports to the command: a JSON file in the folder of the pid file, as a value,
// with functions to write and read it. The daemon's side is status_writer. The format is stable,
// and readers ignore unknown fields. Pure, except read_status and process_start.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/base/result.hpp"
#include "daemon/engine/decision_times.hpp"
#include "daemon/engine/pause.hpp"
#include "daemon/protocol/refused_requests.hpp"

namespace policyd {

struct Status {
  struct Trouble {
    std::string what;
    TimePoint since{};
    std::uint64_t unstored = 0;  // counters that wait to be stored
    bool operator==(const Trouble&) const = default;
  };

  std::int64_t pid = 0;
  std::uint64_t process_start = 0;  // see process_start(): detects another process with this pid
  // The count that is shared with other MTAs.
  struct Cluster {
    std::string node;  // this host's name among them
    bool sharing = false;
    std::string trouble;       // why not, as a sentence
    std::uint64_t hosts = 1;   // seen in the last hour, with this one
    double clock_ahead_s = 0;  // this host's, of the engine's
    double round_trip_s = 0;   // on average
    std::uint64_t questions = 0;
    std::uint64_t alone = 0;  // of them, decided without the engine
    std::uint64_t late = 0;   // calls that were not answered in time
    std::int64_t rules = 0;   // the version of the cluster's rules here; 0: others
    bool operator==(const Cluster&) const = default;
  };
  // What happened to mail since the start, as in events/event.hpp.
  struct Happened {
    std::string kind;
    std::string module;
    std::int64_t row_id = 0;
    std::string verdict;
    std::uint64_t times = 0;
    bool operator==(const Happened&) const = default;
  };
  std::string version;
  TimePoint started{};
  std::string database;
  // Device and inode of its write-ahead log, by which the command sees that the daemon and the
  // name mean the same database; empty: it is not open.
  std::string open_log;
  std::optional<Trouble> trouble;
  std::optional<Pause> pause;        // in force
  std::optional<Cluster> cluster;    // with [cluster] url
  std::uint64_t lost_log_lines = 0;  // since the log can no longer be written
  std::string lost_log_why;
  std::optional<std::int64_t> rules_version;  // nullopt: no rules could be read yet
  std::uint64_t policies = 0;
  std::uint64_t rule_problems = 0;
  std::string all_mail_deferred;     // by which row (describe_all_mail); empty if it is not
  std::vector<std::string> modules;  // enabled ones, in the order in which they are asked
  std::string algorithm;             // of Quotas: "window" or "decay"
  std::uint64_t connections = 0;     // currently
  std::uint64_t sessions = 0;        // currently
  std::uint64_t requests = 0;
  std::uint64_t batches = 0;
  std::uint64_t refused = 0;  // answered REJECT or DEFER, by any module
  RefusedRequests refused_requests;
  DecisionTimes times;
  std::vector<Happened> happened;
  std::uint64_t events_lost = 0;  // that are in no row
  Millis longest_refusal{0};      // of a counter that is being refused (events/refused_counters)
  // The counters that were refused most in the last hour; as many as [metrics] top_senders.
  struct Refused {
    std::string module;
    std::int64_t row_id = 0;
    std::string track_key;
    std::uint64_t times = 0;
    bool operator==(const Refused&) const = default;
  };
  std::vector<Refused> most_refused;

  bool operator==(const Status&) const = default;
};

// "/run/carbonio/cbpolicyd.status.json" for "/run/carbonio/cbpolicyd.pid".
std::filesystem::path status_file_of(const std::filesystem::path& pid_file);

std::string status_json(const Status& status);
// An Error if the text is not a status: other JSON, or fields missing or of another type.
Result<Status> parse_status(std::string_view text);

// The status of the running daemon; nullopt if there is no file, or if the daemon that wrote it is
// gone (it was killed). An Error if the file cannot be read, is larger than 4 MiB or not a status.
Result<std::optional<Status>> read_status(const std::filesystem::path& file);

// When process `pid` was started, in the kernel's clock ticks since boot; 0 if there is none.
std::uint64_t process_start(std::int64_t pid);

}  // namespace policyd
