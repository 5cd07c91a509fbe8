// SPDX-License-Identifier: AGPL-3.0-only
// Both configuration files; a line of NUL and `o` divides them. What was read is in its bounds and
// is read again the same from CRLF lines, and sections written back are the same sections.
#include <algorithm>
#include <cctype>
#include <string>
#include <vector>

#include "daemon/config/config.hpp"
#include "daemon/config/ini.hpp"
#include "fuzz.hpp"

namespace {

using namespace policyd;
using fuzz::check;

bool is_one_line(const std::string& text) {
  return !text.empty() && text.find('\n') == std::string::npos && text.size() < 1000;
}

std::string with_crlf(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\n') out += '\r';
    out += c;
  }
  return out;
}

std::string written(const std::vector<IniSection>& sections) {
  std::string out;
  for (const IniSection& section : sections) {
    out += "[" + section.name + "]\n";
    for (const IniEntry& entry : section.entries) {
      // A mark that is no line of the value.
      std::string mark = "END";
      while (entry.value.find(mark) != std::string::npos) mark += "X";
      const bool lines = entry.value.find('\n') != std::string::npos ||
                         entry.value.starts_with("<<") || trimmed(entry.value) != entry.value;
      out +=
          entry.key + "=" + (lines ? "<<" + mark + "\n" + entry.value + "\n" + mark : entry.value);
      out += "\n";
    }
  }
  return out;
}

bool same(const std::vector<IniSection>& a, const std::vector<IniSection>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const IniSection& x, const IniSection& y) {
                      return x.name == y.name &&
                             std::equal(x.entries.begin(), x.entries.end(), y.entries.begin(),
                                        y.entries.end(), [](const IniEntry& l, const IniEntry& r) {
                                          return l.key == r.key && l.value == r.value;
                                        });
                    });
}

void check_ini(std::string_view text) {
  const auto sections = parse_ini(text, "f");
  if (!sections) {
    check(is_one_line(sections.error().message), "an error is a line");
    check(sections.error().message.starts_with("f:"), "an error names the file");
    return;
  }
  std::size_t line = 0;
  for (const IniSection& section : *sections) {
    check(section.line > line && !section.name.empty(), "sections in order, with a name");
    line = section.line;
    for (const IniEntry& entry : section.entries) {
      check(entry.line > line && !entry.key.empty(), "entries in order, with a key");
      check(entry.key.find('\n') == std::string::npos, "a key is in one line");
      line = entry.line;
    }
  }
  // In CRLF, so that a CR at the end of a line belongs to it.
  const auto again = parse_ini(with_crlf(written(*sections)), "f");
  check(again && same(*sections, *again), "sections written back are the same");
  if (text.find('\r') != std::string_view::npos) return;
  const auto crlf = parse_ini(with_crlf(text), "f");
  check(crlf && same(*sections, *crlf), "lines may end in CRLF");
}

void check_bounds(const Config& config) {
  using std::chrono::seconds;
  const auto a_day_at_most = [](seconds s) { return s >= seconds{1} && s <= seconds{86'400}; };
  check(config.log_level >= 0 && config.log_level <= 4, "log_level");
  check(a_day_at_most(config.timeout_idle) && a_day_at_most(config.timeout_busy), "timeouts");
  check(a_day_at_most(config.bypass_timeout), "bypass_timeout");
  check(config.max_connections >= 1 && config.max_connections <= 1'000'000, "max_connections");
  check(config.max_sessions >= 1 && config.max_sessions <= 10'000'000, "max_sessions");
  check(config.cache_entries >= 1 && config.cache_entries <= 100'000'000, "cache_entries");
  check(config.cleanup_sessions >= std::chrono::hours{1}, "cleanup sessions");
  check(config.cleanup_sessions <= std::chrono::hours{24 * 3'650}, "cleanup sessions");
  check(!config.pid_file.empty() && config.pid_file.is_absolute(), "pid_file");
  check(config.database.empty() || config.database.is_absolute(), "database");
  check(config.log_file.empty() || config.log_file.is_absolute(), "log_file");
  check(config.unix_socket == config.port.starts_with('/'), "a path with proto=unix only");
  check(config.table_prefix.size() <= 64, "table_prefix");
  check(std::all_of(config.table_prefix.begin(), config.table_prefix.end(),
                    [](unsigned char c) { return c < 0x80 && (std::isalnum(c) || c == '_'); }),
        "table_prefix goes into SQL");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view ours = fuzz::text_of(data, size);
  const std::string_view main = fuzz::take_until(ours, std::string_view{"\0o\n", 3});
  check_ini(main);
  check_ini(ours);
  const auto loaded = parse_config(main, "main", ours, "ours");
  if (!loaded) {
    check(is_one_line(loaded.error().message), "an error is a line");
    return 0;
  }
  check_bounds(loaded->config);
  check(loaded->warnings.size() <= 101, "warnings are bounded");
  check(std::all_of(loaded->warnings.begin(), loaded->warnings.end(), is_one_line),
        "a warning is a line");
  return 0;
}
