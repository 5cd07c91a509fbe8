// SPDX-License-Identifier: AGPL-3.0-only
// One run of `notify --due`, each minute: what is wrong, what has happened, whether that is due,
// and the notices and the daily report. Before what can hang is run, what it is about is decided.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "plugin/cli/command.hpp"
#include "plugin/database/database_file.hpp"
#include "plugin/notify/notice_items.hpp"

namespace limits {

// What doctor finds, for the report. Called as the owner of the database.
using FindProblems = std::function<std::vector<NoticeItem>()>;

// Does nothing if notices are off, or another run is at it. A Failure only where something could
// not be sent that could be sent before: each problem is said once.
Outcome send_due_notices(const DaemonConfig& daemon, const Context& context,
                         const FindProblems& find_problems);

// Why a notice to try was not sent.
struct NotSent {
  std::string message;
  bool only_program = false;  // the mail was sent
};

// Sends one that shows that notices arrive; or a report of the last 24 hours.
tl::expected<void, NotSent> send_notice_to_try(const DaemonConfig& daemon, const Context& context);
tl::expected<void, NotSent> send_report_to_try(const DaemonConfig& daemon, const Context& context,
                                               const FindProblems& find_problems);

// Where notices begin for those who get none yet: what has happened before is not in them.
policyd::Result<void> begin_notices(const DaemonConfig& daemon, const Context& context);

}  // namespace limits
