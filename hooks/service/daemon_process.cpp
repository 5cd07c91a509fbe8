// SPDX-License-Identifier: AGPL-3.0-only
#include "hooks/service/daemon_process.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "daemon/base/ascii.hpp"
#include "daemon/base/read_file.hpp"
#include "daemon/config/ini.hpp"

namespace carbonio {
namespace {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

// Words that end in NUL: a command line or an environment. Empty if the process is gone.
Words words_of(pid_t pid, const char* name) {
  std::ifstream in{fmt::format("/proc/{}/{}", pid, name), std::ios::binary};
  Words words;
  for (std::string word; std::getline(in, word, '\0');) words.push_back(std::move(word));
  return words;
}

bool has(const Words& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

// After `--name` or in `--name=value`.
std::optional<std::string> value_of(const Words& words, std::string_view name) {
  for (auto word = words.begin(); word != words.end(); ++word) {
    if (*word == name) return std::next(word) != words.end() ? *std::next(word) : std::string{};
    if (word->rfind(fmt::format("{}=", name), 0) == 0) return word->substr(name.size() + 1);
  }
  return std::nullopt;
}

// Ours, or the Perl script after its interpreter.
bool is_cbpolicyd(const Words& words) {
  const auto named = [&](std::size_t index) {
    return index < words.size() && fs::path{words[index]}.filename() == "cbpolicyd";
  };
  if (words.empty()) return false;
  const bool perl = fs::path{words[0]}.filename().string().rfind("perl", 0) == 0;
  return named(0) || (perl && std::any_of(words.begin(), words.end(), [](const std::string& word) {
                        return fs::path{word}.filename() == "cbpolicyd";
                      }));
}

fs::path config_of(pid_t pid, const Words& words) {
  if (const auto config = value_of(words, "--config")) return *config;
  fs::path home = value_of(words, "--zextras-home").value_or("");
  for (const std::string& variable : words_of(pid, "environ")) {
    constexpr std::string_view kHome = "ZEXTRAS_HOME=";
    if (home.empty() && variable.rfind(kHome, 0) == 0) home = variable.substr(kHome.size());
  }
  return (home.empty() ? fs::path{"/opt/zextras"} : home) / "conf" / "cbpolicyd.conf";
}

bool is_same_file(const fs::path& a, const fs::path& b) {
  std::error_code code;
  return a == b || fs::equivalent(a, b, code);
}

std::vector<pid_t> all_processes() {
  std::vector<pid_t> all;
  std::error_code code;
  for (fs::directory_iterator entry{"/proc", code}, end; !code && entry != end;
       entry.increment(code)) {
    const auto pid = policyd::parse_number<pid_t>(entry->path().filename().string());
    if (pid) all.push_back(*pid);
  }
  return all;
}

pid_t parent_of(pid_t pid) {
  std::ifstream in{fmt::format("/proc/{}/stat", pid)};
  std::string line;
  std::getline(in, line);
  // "PID (any name) STATE PPID ..."
  const std::size_t name_end = line.rfind(')');
  pid_t parent = 0;
  if (name_end != std::string::npos && name_end + 4 < line.size()) {
    std::from_chars(line.data() + name_end + 4, line.data() + line.size(), parent);
  }
  return parent;
}

}  // namespace

// A worker or a supervisor, not one that only cleans up or checks.
bool is_daemon(pid_t pid, const fs::path& config) {
  const Words words = words_of(pid, "cmdline");
  if (!is_cbpolicyd(words) || !is_same_file(config_of(pid, words), config)) return false;
  return std::none_of(words.begin(), words.end(), [](const std::string& word) {
    return word == "--cleanup" || word == "--check-config" || word == "--help" ||
           word == "--version";
  });
}

std::optional<pid_t> read_pid_file(const fs::path& file) {
  constexpr std::size_t kMaxPidFile = 64;
  const auto text = policyd::read_file(file, kMaxPidFile);
  if (!text) return std::nullopt;
  const auto pid = policyd::parse_number<pid_t>(policyd::trimmed(*text));
  return pid && *pid > 1 ? pid : std::nullopt;
}

std::optional<pid_t> find_daemon(const fs::path& config, const fs::path& pid_file) {
  const auto pid = read_pid_file(pid_file);
  if (pid && is_daemon(*pid, config)) return pid;
  // The pid file is missing or stale, which must not hide a running daemon. While one starts in
  // the background there are two for a moment: the one that stays is the other's child.
  std::optional<pid_t> found;
  for (const pid_t each : all_processes()) {
    if (!is_daemon(each, config) || has(words_of(each, "cmdline"), "--supervised")) continue;
    if (!found || parent_of(each) == *found) found = each;
  }
  return found;
}

std::optional<pid_t> find_worker(pid_t supervisor) {
  for (const pid_t each : all_processes()) {
    const Words words = words_of(each, "cmdline");
    if (is_cbpolicyd(words) && has(words, "--supervised") && parent_of(each) == supervisor) {
      return each;
    }
  }
  return std::nullopt;
}

}  // namespace carbonio
