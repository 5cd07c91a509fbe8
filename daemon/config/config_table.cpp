// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/config/config_table.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "daemon/base/ascii.hpp"
#include "daemon/base/ip_address.hpp"
#include "daemon/config/block_keys.hpp"
#include "daemon/config/ini.hpp"
#include "daemon/config/special_keys.hpp"
#include "daemon/config/value_text.hpp"

namespace policyd {
namespace {

using namespace config_key;

constexpr std::uint64_t kDaySeconds = 86'400;
constexpr std::uint64_t kMonthSeconds = 30 * kDaySeconds;

constexpr std::array<std::string_view, 4> kTrue = {"1", "y", "yes", "on"};
constexpr std::array<std::string_view, 4> kFalse = {"0", "n", "no", "off"};

// A tab is harmless white space.
bool is_control(char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F; }

using Count = Number<std::size_t>;
using Draft = ConfigDraft;

constexpr Special kPort{read_port, "1 to 65535, or with proto=unix a path of at most 107 bytes"};
constexpr Special kLogMail{read_log_mail, "main or mail@syslog:native (maillog is the same)"};
constexpr Special kLogDetail{read_log_detail, "modules, tracking, policies, protocols"};
constexpr Special kDsn{read_dsn, "DBI:SQLite:dbname=/PATH (only SQLite is supported)"};
constexpr Special kPrefix{read_table_prefix, "up to 64 letters, digits and _"};
constexpr Special kDelimiter{read_delimiter,
                             "up to 16 characters other than letters, digits and @"};
constexpr Special kOrigin{read_origin, "a domain"};
constexpr Special kSessions{read_sessions, "days or hours, such as 30, 30d, 12h, up to 3650 days"};
constexpr Special kNode{read_node, "up to 253 letters, digits, dots, hyphens and _"};
constexpr Special kMetricsFile{read_metrics_file, "the name of a file, NAME.prom"};
constexpr Special kWebListen{read_web_listen, "ADDRESS:PORT, or the path of a socket"};
constexpr Special kClusterPrefix{read_cluster_prefix,
                                 "up to 64 ASCII characters without white space"};
constexpr Special kNotifyTo{read_notify_to, "up to 10 mail addresses, separated by blanks"};
constexpr Special kNotifyCommand{read_notify_command, "an absolute path, and words for it"};
constexpr Special kNotifyReport{read_notify_report, "a time of day, such as 07:00"};
constexpr Special kBlockNever{
    check_block_never,
    "logins, addresses, domains as @example.org and networks, separated by blanks or commas"};
constexpr Special kBlockMailboxes{
    check_block_mailboxes, "up to 100 addresses and networks, separated by blanks or commas"};
constexpr Special kBlockPerHour{check_block_per_hour, "0 to 1000"};
constexpr Special kBlockFile{check_block_file, "an absolute path"};
constexpr Special kBlockAfter{check_block_after, "1 to 1000000"};
constexpr Choice<bool> kProto{&Draft::unix_socket, {{{"tcp", false}, {"unix", true}}}};
constexpr Choice<Bypass> kBypass{&Draft::bypass_mode,
                                 {{{"tempfail", Bypass::tempfail}, {"pass", Bypass::pass}}}};
constexpr Choice<Durability> kDurability{
    &Draft::durability, {{{"commit", Durability::commit}, {"full", Durability::full}}}};
constexpr Choice<Without, 3> kWithout{
    &Draft::cluster_without,
    {{{"share", Without::share}, {"local", Without::local}, {"defer", Without::defer}}}};
constexpr Choice<Algorithm> kAlgorithm{
    &Draft::quotas_algorithm, {{{"window", Algorithm::window}, {"decay", Algorithm::decay}}}};

constexpr bool kMayBeEmpty = true;
constexpr bool kNotEmpty = false;

constexpr std::string_view kDefer = "Greylisting in effect, please come back later";
constexpr std::string_view kBlacklist = "Greylisting in effect, sending server blacklisted";

// clang-format off
constexpr std::array kKeys = {
    // Section, key, default, unit, whether it may be empty, the field it sets.
    ConfigKey{"server", "user", "", "", kMayBeEmpty, Word{&Draft::user}},
    ConfigKey{"server", "group", "", "", kMayBeEmpty, Word{&Draft::group}},
    ConfigKey{"server", "pid_file", "/run/carbonio/cbpolicyd.pid", "", kNotEmpty, File{&Draft::pid_file}},
    ConfigKey{"server", "background", "yes", "", kNotEmpty, Flag{&Draft::background}},
    ConfigKey{"server", "log_level", "2", "", kNotEmpty, Number<int>{&Draft::log_level, 0, 4}},
    ConfigKey{"server", "log_file", "", "", kMayBeEmpty, File{&Draft::log_file}},
    ConfigKey{"server", "log_mail", "main", "", kNotEmpty, kLogMail},
    ConfigKey{"server", "log_detail", "", "", kMayBeEmpty, kLogDetail},
    ConfigKey{"server", "host", "*", "", kNotEmpty, Word{&Draft::host}},
    ConfigKey{"server", "port", "10031", "", kNotEmpty, kPort},
    ConfigKey{"server", "proto", "tcp", "", kNotEmpty, kProto},
    ConfigKey{"server", "timeout_idle", "1020", "s", kNotEmpty, Seconds{&Draft::timeout_idle, 1, kDaySeconds}},
    ConfigKey{"server", "timeout_busy", "120", "s", kNotEmpty, Seconds{&Draft::timeout_busy, 1, kDaySeconds}},
    ConfigKey{"server", "cidr_allow", "", "", kMayBeEmpty, Networks{&Draft::cidr_allow}},
    ConfigKey{"server", "cidr_deny", "", "", kMayBeEmpty, Networks{&Draft::cidr_deny}},
    ConfigKey{"server", "max_connections", "10000", "", kNotEmpty, Count{&Draft::max_connections, 1, 1'000'000}},
    ConfigKey{"server", "max_sessions", "10000", "", kNotEmpty, Count{&Draft::max_sessions, 1, 10'000'000}},
    ConfigKey{"server", "recipient_delimiter", "", "", kMayBeEmpty, kDelimiter},
    ConfigKey{"server", "myorigin", "", "", kMayBeEmpty, kOrigin},
    ConfigKey{"server", "nameservers", "", "", kMayBeEmpty, Word{&Draft::nameservers}},
    ConfigKey{"server", "modules", "", "", kMayBeEmpty, Names{&Draft::modules}},
    ConfigKey{"server", "protocols", "", "", kMayBeEmpty, Names{&Draft::protocols}},
    ConfigKey{"server", "cache_file", "", "", kMayBeEmpty, Ignored{}},
    ConfigKey{"server", "min_servers", "", "", kMayBeEmpty, Ignored{}},
    ConfigKey{"server", "min_spare_servers", "", "", kMayBeEmpty, Ignored{}},
    ConfigKey{"server", "max_spare_servers", "", "", kMayBeEmpty, Ignored{}},
    ConfigKey{"server", "max_servers", "", "", kMayBeEmpty, Ignored{}},
    ConfigKey{"server", "max_requests", "", "", kMayBeEmpty, Ignored{}},
    ConfigKey{"database", "DSN", "", "", kNotEmpty, kDsn},
    ConfigKey{"database", "bypass_mode", "tempfail", "", kNotEmpty, kBypass},
    ConfigKey{"database", "bypass_timeout", "30", "s", kNotEmpty, Seconds{&Draft::bypass_timeout, 1, kDaySeconds}},
    ConfigKey{"database", "table_prefix", "", "", kMayBeEmpty, kPrefix},
    ConfigKey{"database", "durability", "commit", "", kNotEmpty, kDurability},
    ConfigKey{"database", "cache_entries", "200000", "", kNotEmpty, Count{&Draft::cache_entries, 1, 100'000'000}},
    ConfigKey{"database", "backup_interval", "3600", "s", kNotEmpty, Seconds{&Draft::backup_interval, 0, kMonthSeconds}},
    ConfigKey{"database", "check_interval", "10", "s", kNotEmpty, Seconds{&Draft::check_interval, 1, kDaySeconds}},
    ConfigKey{"database", "remind_interval", "60", "s", kNotEmpty, Seconds{&Draft::remind_interval, 1, kDaySeconds}},
    ConfigKey{"database", "largest_log", "256", "MiB", kNotEmpty, Count{&Draft::largest_log_mib, 1, 65'536}},
    ConfigKey{"database", "Username", "", "", kMayBeEmpty, Ignored{}},
    ConfigKey{"database", "Password", "", "", kMayBeEmpty, Ignored{}},
    ConfigKey{"AccessControl", "enable", "0", "", kNotEmpty, Flag{&Draft::access_control}},
    ConfigKey{"Accounting", "enable", "0", "", kNotEmpty, Flag{&Draft::accounting}},
    ConfigKey{"Amavis", "enable", "0", "", kNotEmpty, Flag{&Draft::amavis}},
    ConfigKey{"Amavis", "*", "", "", kMayBeEmpty, Ignored{}},
    ConfigKey{"CheckHelo", "enable", "0", "", kNotEmpty, Flag{&Draft::check_helo}},
    ConfigKey{"CheckSPF", "enable", "0", "", kNotEmpty, Flag{&Draft::check_spf}},
    ConfigKey{"Greylisting", "enable", "0", "", kNotEmpty, Flag{&Draft::greylisting}},
    ConfigKey{"Greylisting", "training_mode", "0", "", kNotEmpty, Flag{&Draft::greylisting_training}},
    ConfigKey{"Greylisting", "defer_message", kDefer, "", kNotEmpty, Text{&Draft::greylisting_defer_message}},
    ConfigKey{"Greylisting", "blacklist_message", kBlacklist, "", kNotEmpty, Text{&Draft::greylisting_blacklist_message}},
    ConfigKey{"Quotas", "enable", "0", "", kNotEmpty, Flag{&Draft::quotas}},
    ConfigKey{"Quotas", "refund", "0", "", kNotEmpty, Flag{&Draft::quotas_refund}},
    ConfigKey{"Quotas", "algorithm", "window", "", kNotEmpty, kAlgorithm},
    ConfigKey{"cluster", "url", "", "", kMayBeEmpty, Text{&Draft::cluster_url}},
    ConfigKey{"cluster", "node", "", "", kMayBeEmpty, kNode},
    ConfigKey{"cluster", "without", "share", "", kNotEmpty, kWithout},
    ConfigKey{"cluster", "password_file", "", "", kMayBeEmpty, File{&Draft::cluster_password_file}},
    ConfigKey{"cluster", "timeout", "50", "ms", kNotEmpty, Milliseconds{&Draft::cluster_timeout, 5, 5'000}},
    ConfigKey{"cluster", "prefix", "carbonio-limits:", "", kNotEmpty, kClusterPrefix},
    ConfigKey{"block", "never", "", "", kMayBeEmpty, kBlockNever},
    ConfigKey{"block", "after", "50", "", kNotEmpty, kBlockAfter},
    ConfigKey{"block", "countries", "", "", kMayBeEmpty, kBlockFile},
    ConfigKey{"block", "mailboxes", "", "", kMayBeEmpty, kBlockMailboxes},
    ConfigKey{"block", "mail_log", "", "", kMayBeEmpty, kBlockFile},
    ConfigKey{"block", "per_hour", "5", "", kNotEmpty, kBlockPerHour},
    ConfigKey{"metrics", "file", "zmstat/prometheus/carbonio-limits.prom", "", kMayBeEmpty, kMetricsFile},
    ConfigKey{"metrics", "top_senders", "0", "", kNotEmpty, Number<unsigned>{&Draft::top_senders, 0, 100}},
    ConfigKey{"notify", "near", "80", "%", kNotEmpty, Number<unsigned>{&Draft::notify_near, 0, 100}},
    ConfigKey{"notify", "to", "", "", kMayBeEmpty, kNotifyTo},
    ConfigKey{"notify", "command", "", "", kMayBeEmpty, kNotifyCommand},
    ConfigKey{"notify", "sendmail", "", "", kMayBeEmpty, File{&Draft::notify_sendmail}},
    ConfigKey{"notify", "every", "3600", "s", kNotEmpty, Seconds{&Draft::notify_every, 60, kDaySeconds}},
    ConfigKey{"notify", "report", "", "", kMayBeEmpty, kNotifyReport},
    ConfigKey{"notify", "report_always", "1", "", kNotEmpty, Flag{&Draft::notify_report_always}},
    ConfigKey{"web", "listen", "127.0.0.1:10032", "", kNotEmpty, kWebListen},
    ConfigKey{"web", "hosts", "", "", kMayBeEmpty, Names{&Draft::web_hosts}},
    ConfigKey{"cleanup", "sessions", "30", "days", kNotEmpty, kSessions},
};
// clang-format on

struct ReadValue {
  std::string_view value;
  ConfigDraft& draft;

  Rejected operator()(const Flag& key) const {
    draft.*key.into = is_one_of(kTrue, value);
    return std::nullopt;
  }
  template <typename Value>
  Rejected operator()(const Number<Value>& key) const {
    const auto number = number_within(value, key.min, key.max);
    if (!number) return value;
    draft.*key.into = static_cast<Value>(*number);
    return std::nullopt;
  }
  template <typename Value, std::size_t count>
  Rejected operator()(const Choice<Value, count>& key) const {
    for (const auto& [word, meaning] : key.words) {
      if (!equal_ignoring_case(word, value)) continue;
      draft.*key.into = meaning;
      return std::nullopt;
    }
    return value;
  }
  Rejected operator()(const Word& key) const {
    if (has_white_space(value)) return value;
    draft.*key.into = value;
    return std::nullopt;
  }
  Rejected operator()(const Text& key) const {
    draft.*key.into = value;
    return std::nullopt;
  }
  Rejected operator()(const File& key) const {
    if (!value.empty() && !value.starts_with('/')) return value;
    draft.*key.into = value;
    return std::nullopt;
  }
  Rejected operator()(const Names& key) const {
    for (const auto item : items_of(value)) (draft.*key.into).emplace_back(item);
    return std::nullopt;
  }
  Rejected operator()(const Networks& key) const {
    for (const auto item : items_of(value)) {
      if (!is_network(item)) return item;
      (draft.*key.into).emplace_back(item);
    }
    return std::nullopt;
  }
  Rejected operator()(const Special& key) const { return key.read(draft, value); }
  Rejected operator()(const Ignored&) const { return std::nullopt; }
};

struct Allowed {
  std::string_view unit;

  std::string operator()(const Flag&) const { return "1 or 0 (y, yes, on are 1)"; }
  template <typename Value>
  std::string operator()(const Number<Value>& key) const {
    return fmt::format("{} to {}{}{}", key.min, key.max, unit.empty() ? "" : " ", unit);
  }
  template <typename Value, std::size_t count>
  std::string operator()(const Choice<Value, count>& key) const {
    std::string words;
    for (std::size_t i = 0; i + 2 < count; ++i) words.append(key.words[i].first).append(", ");
    return words.append(
        fmt::format("{} or {}", key.words[count - 2].first, key.words[count - 1].first));
  }
  std::string operator()(const Word&) const { return "one word"; }
  std::string operator()(const Text&) const { return "one line of text"; }
  std::string operator()(const File&) const { return "an absolute path"; }
  std::string operator()(const Names&) const { return "names, separated by commas or lines"; }
  std::string operator()(const Networks&) const {
    return "networks such as 192.0.2.0/24 or 2001:db8::/32, separated by commas or lines";
  }
  std::string operator()(const Special& key) const { return std::string(key.allowed); }
  std::string operator()(const Ignored&) const { return "anything"; }
};

bool may_have_lines(const ConfigKey& key) {
  return std::holds_alternative<Names>(key.into) || std::holds_alternative<Networks>(key.into) ||
         std::holds_alternative<Ignored>(key.into) || key.name == "log_detail";
}

}  // namespace

std::span<const ConfigKey> config_keys() { return kKeys; }

std::optional<std::string_view> read_config_value(const ConfigKey& key, std::string_view value,
                                                  ConfigDraft& draft) {
  const bool control = std::any_of(value.begin(), value.end(), is_control);
  if (control && !may_have_lines(key)) return value;
  return std::visit(ReadValue{value, draft}, key.into);
}

std::string allowed_values(const ConfigKey& key) { return std::visit(Allowed{key.unit}, key.into); }

bool is_doubtful_flag(std::string_view value) {
  return !is_one_of(kTrue, value) &&
         !is_one_of(kFalse, value.substr(0, value.find_first_of(" \t")));
}

}  // namespace policyd
