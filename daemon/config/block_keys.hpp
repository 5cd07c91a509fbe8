// SPDX-License-Identifier: AGPL-3.0-only
// The keys of section [block], which is the command's: it reads them
// (plugin/block/block_settings.hpp); here they are only checked, for the table of keys. Pure.
#pragma once

#include <string_view>

#include "daemon/config/config_table.hpp"

namespace policyd::config_key {

// Each leaves the draft as it is, and returns the part of `value` that is not allowed, if any.
Rejected check_block_never(ConfigDraft& draft, std::string_view value);
Rejected check_block_mailboxes(ConfigDraft& draft, std::string_view value);
Rejected check_block_per_hour(ConfigDraft& draft, std::string_view value);
Rejected check_block_after(ConfigDraft& draft, std::string_view value);
Rejected check_block_file(ConfigDraft& draft, std::string_view value);

}  // namespace policyd::config_key
