// SPDX-License-Identifier: AGPL-3.0-only
// The rows of the modules other than Quotas. Used by rules_loader only.
#pragma once

#include "daemon/rules/rule_reader.hpp"

namespace policyd {

// access_control, accounting, checkhelo, checkspf, greylisting and their whitelists, into the
// policies that the reader has. Throws RulesError.
void load_module_rows(RuleReader& reader);

}  // namespace policyd
