// SPDX-License-Identifier: AGPL-3.0-only
// Both configuration files as one value: cbpolicyd.conf, which Carbonio generates, and
// carbonio-limits.conf in the same folder, which is ours and optional. Read at start-up and on
// SIGHUP. Both files take the same keys (config_table); if a key is in both, ours counts. Apart
// from reading the files, a pure function of their texts.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/result.hpp"

namespace policyd {

enum class Bypass : std::uint8_t { tempfail, pass };
enum class Algorithm : std::uint8_t { window, decay };
enum class Durability : std::uint8_t { commit, full };
// What holds while the engine of the cluster cannot be asked.
enum class Without : std::uint8_t { share, local, defer };

struct Config {
  // [server]
  std::string user;   // empty: the user who started us
  std::string group;  // empty: that user's group
  std::filesystem::path pid_file = "/run/carbonio/cbpolicyd.pid";
  bool background = true;
  int log_level = 2;               // 0 error, 1 warning, 2 notice, 3 info, 4 debug
  std::filesystem::path log_file;  // empty: standard error, or syslog in the background
  std::string log_mail = "main";   // "main" or "mail@syslog:native" ("maillog" is the same)
  bool log_modules = false;        // log_detail contains "modules"
  std::string host = "*";          // "*": every address
  std::string port = "10031";      // a path if `unix_socket`
  bool unix_socket = false;        // proto=unix
  std::chrono::seconds timeout_idle{1020};
  std::chrono::seconds timeout_busy{120};
  std::vector<std::string> cidr_allow;  // networks; empty: all
  std::vector<std::string> cidr_deny;
  std::size_t max_connections = 10'000;
  std::size_t max_sessions = 10'000;
  std::string recipient_delimiter;  // characters; empty: addresses have no extensions
  std::string myorigin;             // domain of addresses without one; empty: they stay so
  std::string nameservers;          // "192.0.2.53,127.0.0.1:5353"; empty: the system's

  // [database]
  std::filesystem::path database;  // of DSN=DBI:SQLite:dbname=; empty: not set
  Bypass bypass_mode = Bypass::tempfail;
  std::chrono::seconds bypass_timeout{30};
  std::string table_prefix;
  Durability durability = Durability::commit;
  std::size_t cache_entries = 200'000;
  std::chrono::seconds backup_interval{3600};  // 0: no automatic backups
  std::chrono::seconds check_interval{10};     // of the file
  std::chrono::seconds remind_interval{60};    // of trouble, in the log
  std::size_t largest_log_mib = 256;           // the write-ahead log

  // [cluster]: one count on several MTAs
  std::string cluster_url;   // as cluster/redis_address reads it; empty: none
  std::string cluster_node;  // this host's name among them; empty: the host name
  Without cluster_without = Without::share;
  std::filesystem::path cluster_password_file;  // empty: no password
  std::string cluster_prefix = "carbonio-limits:";
  std::chrono::milliseconds cluster_timeout{50};  // of a question; then this host decides alone

  // [notify]
  unsigned notify_near = 80;  // percent of a limit that is nearly used up; 0: that is no event
  // The others are for 'carbonio-limits notify'.
  std::vector<std::string> notify_to;       // mail addresses
  std::string notify_command;               // an absolute path, and words; empty: none
  std::filesystem::path notify_sendmail;    // empty: Carbonio's, or the system's
  std::chrono::seconds notify_every{3600};  // at most one notice in this time
  std::string notify_report;                // "07:00": when the daily report comes; empty: never
  bool notify_report_always = true;         // also if there is nothing to tell

  // [metrics]: for Prometheus; below Carbonio's folder unless absolute; empty: none
  std::filesystem::path metrics_file = "zmstat/prometheus/carbonio-limits.prom";
  unsigned top_senders = 0;  // that were refused most are named in it

  // [web]: the page of the command
  std::string web_listen = "127.0.0.1:10032";  // or the path of a UNIX socket
  std::vector<std::string> web_hosts;          // that the page answers for, besides localhost

  // One section per module. True if the section enables it and [server] modules, if set, lists it:
  // the Perl daemon does not load modules that are not listed.
  bool access_control = false;
  bool accounting = false;
  bool check_helo = false;
  bool check_spf = false;
  bool greylisting = false;
  bool greylisting_training = false;
  std::string greylisting_defer_message = "Greylisting in effect, please come back later";
  std::string greylisting_blacklist_message = "Greylisting in effect, sending server blacklisted";
  bool quotas = false;
  Algorithm quotas_algorithm = Algorithm::window;
  bool quotas_refund = false;

  // [cleanup]: days ("30", "30d", "30 days") or hours ("12h", "12 hours"), up to 3650 days
  std::chrono::hours cleanup_sessions{24 * 30};

  bool operator==(const Config&) const = default;
};

struct LoadedConfig {
  Config config;
  // "cbpolicyd.conf:12: unknown key 'prot' in [server], did you mean 'proto'?" At most 100.
  std::vector<std::string> warnings;
  // Worth a line in the log, but no action is needed.
  std::vector<std::string> notices;
};

// `main_name` and `ours_name` are used in messages. Errors name the file, the line and the allowed
// values.
Result<LoadedConfig> parse_config(std::string_view main_text, std::string_view main_name,
                                  std::string_view ours_text, std::string_view ours_name);

// carbonio-limits.conf beside `file`.
std::filesystem::path own_config_of(const std::filesystem::path& file);

// Reads `file`, and carbonio-limits.conf in the same folder if it exists. Also an Error, with what
// to do, if a file cannot be read, is not a regular file or is larger than 1 MiB.
Result<LoadedConfig> load_config(const std::filesystem::path& file);

}  // namespace policyd
