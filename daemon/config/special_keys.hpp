// SPDX-License-Identifier: AGPL-3.0-only
// The readers of keys that have a syntax of their own: ports, the DSN, times, addresses to tell.
// The table of keys names them, with the values they allow in words. Pure.
#pragma once

#include <optional>
#include <string_view>

#include "daemon/config/config_table.hpp"

namespace policyd::config_key {

// Each reads a value into `draft`, and returns the part of it that is not allowed, if any.
Rejected read_port(ConfigDraft& draft, std::string_view value);
Rejected read_log_mail(ConfigDraft& draft, std::string_view value);
Rejected read_metrics_file(ConfigDraft& draft, std::string_view value);
Rejected read_log_detail(ConfigDraft& draft, std::string_view value);
Rejected read_dsn(ConfigDraft& draft, std::string_view value);
Rejected read_table_prefix(ConfigDraft& draft, std::string_view value);
Rejected read_delimiter(ConfigDraft& draft, std::string_view value);
Rejected read_origin(ConfigDraft& draft, std::string_view value);
Rejected read_sessions(ConfigDraft& draft, std::string_view value);
Rejected read_node(ConfigDraft& draft, std::string_view value);
Rejected read_cluster_prefix(ConfigDraft& draft, std::string_view value);
Rejected read_notify_to(ConfigDraft& draft, std::string_view value);
Rejected read_notify_command(ConfigDraft& draft, std::string_view value);
Rejected read_notify_report(ConfigDraft& draft, std::string_view value);
Rejected read_web_listen(ConfigDraft& draft, std::string_view value);

// Where mail is logged instead, if `value` of log_mail is not one that we support: worth a warning.
[[nodiscard]] std::optional<std::string_view> log_mail_instead(std::string_view value);

}  // namespace policyd::config_key
