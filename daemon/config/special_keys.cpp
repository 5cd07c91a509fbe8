// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/config/special_keys.hpp"

#include <sys/un.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <utility>

#include "daemon/base/ascii.hpp"
#include "daemon/base/mail_address.hpp"
#include "daemon/config/ini.hpp"
#include "daemon/config/notice_command.hpp"
#include "daemon/config/time_of_day.hpp"
#include "daemon/config/value_text.hpp"
#include "daemon/names/name_form.hpp"

namespace policyd::config_key {
namespace {

constexpr std::uint64_t kLargestPort = 65'535;
constexpr std::uint64_t kMaxSessionHours = 24 * 3'650;
constexpr std::size_t kMaxSocketPath = sizeof(sockaddr_un::sun_path) - 1;
static_assert(kMaxSocketPath == 107, "config_table names this number");

bool is_other_syslog(std::string_view value) {
  constexpr std::string_view kBeginning = "mail@syslog:";
  return equal_ignoring_case(value.substr(0, kBeginning.size()), kBeginning);
}

}  // namespace

// A port, or the path of a UNIX socket; whether it fits `proto` is checked after both files.
Rejected read_port(ConfigDraft& draft, std::string_view value) {
  const auto number = number_within(value, 1, kLargestPort);
  const bool path = value.starts_with('/') && value.size() <= kMaxSocketPath;
  if (!number && !path) return value;
  draft.port = number ? std::to_string(*number) : std::string(value);
  return std::nullopt;
}

Rejected read_log_mail(ConfigDraft& draft, std::string_view value) {
  constexpr std::array<std::string_view, 2> kSyslog = {"mail@syslog:native", "maillog"};
  // The Perl daemon's other targets; where mail is logged must not keep it from being answered.
  const bool syslog = is_one_of(kSyslog, value) || is_other_syslog(value);
  draft.log_mail = syslog ? kSyslog[0] : "main";
  return std::nullopt;
}

// The collector reads no other names, and a mistake must not replace the database.
Rejected read_metrics_file(ConfigDraft& draft, std::string_view value) {
  if (!value.empty() && !value.ends_with(".prom")) return value;
  draft.metrics_file = value;
  return std::nullopt;
}

// The Perl daemon has more details; they have no effect here.
Rejected read_log_detail(ConfigDraft& draft, std::string_view value) {
  const auto items = items_of(value);
  draft.log_modules = std::any_of(items.begin(), items.end(), [](std::string_view item) {
    return equal_ignoring_case(item, "modules");
  });
  return std::nullopt;
}

// "DBI:SQLite:dbname=PATH", as DBD::SQLite reads it: dbname, database or db among attributes
// separated by semicolons, or the path alone. Of a rejected DSN only the beginning is shown: those
// of other drivers may contain a password.
Rejected read_dsn(ConfigDraft& draft, std::string_view value) {
  constexpr std::array<std::string_view, 3> kNames = {"dbname", "database", "db"};
  constexpr std::string_view kDriver = "DBI:SQLite:";
  const Rejected rejected = value.substr(0, value.find_first_of("=;"));
  if (!equal_ignoring_case(value.substr(0, kDriver.size()), kDriver)) return rejected;
  std::string_view rest = value.substr(kDriver.size());
  std::string_view path = rest.starts_with('/') ? rest : std::string_view{};
  while (path.empty() && !rest.empty()) {
    const std::string_view attribute = rest.substr(0, rest.find(';'));
    rest.remove_prefix(std::min(rest.size(), attribute.size() + 1));
    const std::size_t equals = attribute.find('=');
    if (equals == std::string_view::npos) continue;
    if (is_one_of(kNames, trimmed(attribute.substr(0, equals)))) {
      path = trimmed(attribute.substr(equals + 1));
    }
  }
  if (!path.starts_with('/')) return rejected;
  draft.database = path;
  return std::nullopt;
}

Rejected read_table_prefix(ConfigDraft& draft, std::string_view value) {
  const bool fine = std::all_of(value.begin(), value.end(),
                                [](char c) { return is_letter(c) || is_digit(c) || c == '_'; });
  if (!fine || value.size() > 64) return value;
  draft.table_prefix = value;
  return std::nullopt;
}

// As in Postfix, a set of characters. The addresses that it is used on are in lower case.
Rejected read_delimiter(ConfigDraft& draft, std::string_view value) {
  constexpr std::size_t kMaxDelimiters = 16;
  const bool fine = std::all_of(value.begin(), value.end(), [](char c) {
    return c > ' ' && c < 0x7F && c != '@' && !is_letter(c) && !is_digit(c);
  });
  if (!fine || value.size() > kMaxDelimiters) return value;
  draft.recipient_delimiter = value;
  return std::nullopt;
}

Rejected read_origin(ConfigDraft& draft, std::string_view value) {
  std::string domain = domain_form(value);
  if (!domain.empty() && !problem_with_domain(domain).empty()) return value;
  draft.myorigin = std::move(domain);
  return std::nullopt;
}

// "30", "30d", "30 days": days; "12h", "12 hours".
Rejected read_sessions(ConfigDraft& draft, std::string_view value) {
  constexpr std::array<std::string_view, 4> kDays = {"", "d", "day", "days"};
  constexpr std::array<std::string_view, 3> kHours = {"h", "hour", "hours"};
  const auto* digits_end = std::find_if_not(value.begin(), value.end(), is_digit);
  const auto digits = static_cast<std::size_t>(digits_end - value.begin());
  const std::string_view unit = trimmed(value.substr(digits));
  if (!is_one_of(kDays, unit) && !is_one_of(kHours, unit)) return value;
  const std::uint64_t factor = is_one_of(kDays, unit) ? 24 : 1;
  const auto number = number_within(value.substr(0, digits), 1, kMaxSessionHours / factor);
  if (!number) return value;
  draft.cleanup_sessions = std::chrono::hours(*number * factor);
  return std::nullopt;
}

// A field of hashes in the engine, and shown in tables: what a host name may contain.
Rejected read_node(ConfigDraft& draft, std::string_view value) {
  constexpr std::size_t kMaxNode = 253;
  const bool fine = std::all_of(value.begin(), value.end(), [](char c) {
    return is_letter(c) || is_digit(c) || c == '.' || c == '-' || c == '_';
  });
  if (!fine || value.size() > kMaxNode) return value;
  draft.cluster_node = value;
  return std::nullopt;
}

// What all keys in the engine begin with.
Rejected read_cluster_prefix(ConfigDraft& draft, std::string_view value) {
  constexpr std::size_t kMaxPrefix = 64;
  const bool fine =
      std::all_of(value.begin(), value.end(), [](char c) { return c > ' ' && c < 0x7F; });
  if (!fine || value.size() > kMaxPrefix) return value;
  draft.cluster_prefix = value;
  return std::nullopt;
}

// Whom to tell: addresses that no mail program could take for an option, a list or a header.
Rejected read_notify_to(ConfigDraft& draft, std::string_view value) {
  constexpr std::size_t kMaxAddresses = 10;
  draft.notify_to.clear();
  for (const auto item : items_of(value)) {
    if (!is_notice_address(item) || draft.notify_to.size() == kMaxAddresses) return item;
    draft.notify_to.emplace_back(item);
  }
  return std::nullopt;
}

Rejected read_notify_command(ConfigDraft& draft, std::string_view value) {
  if (!value.empty() && !notice_command_words(value)) return value;
  draft.notify_command = value;
  return std::nullopt;
}

// "07:00"
Rejected read_notify_report(ConfigDraft& draft, std::string_view value) {
  if (!value.empty() && !is_time_of_day(value)) return value;
  draft.notify_report = value;
  return std::nullopt;
}

// ADDRESS:PORT, or a path.
Rejected read_web_listen(ConfigDraft& draft, std::string_view value) {
  const std::size_t colon = value.rfind(':');
  const bool path = value.starts_with('/') && value.size() <= kMaxSocketPath;
  const bool address = colon != std::string_view::npos && colon > 0 &&
                       number_within(value.substr(colon + 1), 1, kLargestPort);
  if (!path && !address) return value;
  draft.web_listen = value;
  return std::nullopt;
}

std::optional<std::string_view> log_mail_instead(std::string_view value) {
  ConfigDraft draft;
  read_log_mail(draft, value);
  const bool known =
      equal_ignoring_case(value, draft.log_mail) || equal_ignoring_case(value, "maillog");
  if (known) return std::nullopt;
  return is_other_syslog(value) ? "the system log" : "log_file";
}

}  // namespace policyd::config_key
