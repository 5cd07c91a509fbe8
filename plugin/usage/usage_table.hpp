// SPDX-License-Identifier: AGPL-3.0-only
// Prints counters as a table and as JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "plugin/cli/command.hpp"
#include "plugin/terminal/output.hpp"
#include "plugin/usage/daemon_news.hpp"
#include "plugin/usage/usage_report.hpp"

namespace limits {

struct UsageView {
  const AllLimits& all;
  const Usage& usage;
  const DaemonNews& news;
  const UsageQuery& query;
  const TypedAdvice& advice;
};

void print_usage(const UsageView& view, Output& output);

// The object that `usage --json` prints, a stable format that the manual page documents.
nlohmann::json json_of(const UsageView& view);

}  // namespace limits
