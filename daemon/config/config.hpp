// SPDX-License-Identifier: AGPL-3.0-only
// Both configuration files as one value: cbpolicyd.conf, which Carbonio generates, and
// carbonio-limits.conf beside it, which is ours and may be missing. Read at the start and on
// SIGHUP; a pure function of the two texts, but for reading them. Both files take the same keys
// (the table is in config_keys); where both have one, ours counts.
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

struct Config {
  // [server]
  std::string user;   // empty: stay who we are
  std::string group;  // empty: stay who we are
  std::filesystem::path pid_file = "/run/carbonio/cbpolicyd.pid";
  bool background = true;
  int log_level = 2;               // 0 error, 1 warning, 2 notice, 3 info, 4 debug
  std::filesystem::path log_file;  // empty: standard error, or syslog in the background
  std::string log_mail = "main";   // "main" or "mail@syslog:native" ("maillog" is the same)
  bool log_modules = false;        // log_detail holds "modules"
  std::string host = "*";          // "*": every address
  std::string port = "10031";      // a path where `unix_socket`
  bool unix_socket = false;        // proto=unix
  std::chrono::seconds timeout_idle{1020};
  std::chrono::seconds timeout_busy{120};
  std::vector<std::string> cidr_allow;  // networks; empty: everybody
  std::vector<std::string> cidr_deny;
  std::size_t max_connections = 10'000;
  std::size_t max_sessions = 10'000;
  std::string nameservers;  // "192.0.2.53,127.0.0.1:5353"; empty: the system's

  // [database]
  std::filesystem::path database;  // of DSN=DBI:SQLite:dbname=; empty: not named
  Bypass bypass_mode = Bypass::tempfail;
  std::chrono::seconds bypass_timeout{30};
  std::string table_prefix;
  Durability durability = Durability::commit;
  std::size_t cache_entries = 200'000;
  std::chrono::seconds backup_interval{3600};  // 0: no automatic backups
  std::chrono::seconds check_interval{10};     // of the file
  std::chrono::seconds remind_interval{60};    // of trouble, in the log
  std::size_t largest_log_mib = 256;           // the write-ahead log

  // One section a module. True where the section enables it and [server] modules lists it (or there
  // is no such list): the Perl daemon does not load what is not listed.
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

  // [cleanup]: days ("30", "30d", "30 days") or hours ("12h", "12 hours"), up to 3650 days
  std::chrono::hours cleanup_sessions{24 * 30};

  bool operator==(const Config&) const = default;
};

struct LoadedConfig {
  Config config;
  // "cbpolicyd.conf:12: unknown key 'prot' in [server], did you mean 'proto'?" At most a hundred.
  std::vector<std::string> warnings;
  // What is as Carbonio has it and still worth a line. Nothing needs to be done.
  std::vector<std::string> notices;
};

// `main_name` and `ours_name` stand in messages. Errors name file and line and say what is allowed.
Result<LoadedConfig> parse_config(std::string_view main_text, std::string_view main_name,
                                  std::string_view ours_text, std::string_view ours_name);

// Reads `file`, and carbonio-limits.conf in the same folder where there is one. An Error also where
// a file cannot be read, is no file, or is larger than 1 MiB; it says what to do.
Result<LoadedConfig> load_config(const std::filesystem::path& file);

}  // namespace policyd
