// SPDX-License-Identifier: AGPL-3.0-only
// Carbonio's Postfix reads its restrictions when an smtpd begins: without a reload one that is busy
// keeps the old ones for minutes. configd's REWRITE changes main.cf and reloads nothing.
#pragma once

#include <filesystem>

#include "daemon/base/result.hpp"

namespace limits {

// `postfix reload`, as root or else by sudo, which Carbonio allows its user. Nothing if this is not
// Carbonio's Postfix, or if it is not running. The Error has what Postfix says and the command.
policyd::Result<void> reload_postfix(const std::filesystem::path& zextras_home);

}  // namespace limits
