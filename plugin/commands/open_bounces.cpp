// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/commands/open_bounces.hpp"

#include "plugin/block/block_settings.hpp"
#include "plugin/commands/with_database.hpp"

namespace limits {

policyd::Result<BounceReader> open_bounces(const Arguments& arguments, const Context& context) {
  const auto daemon = database_of(arguments, context);
  if (!daemon) return tl::unexpected{daemon.error()};
  const auto settings = read_block_settings(policyd::own_config_of(daemon->file));
  if (!settings) return tl::unexpected{settings.error()};
  return BounceReader::open(settings->mail_log, bounce_state_file(context.zextras_home));
}

}  // namespace limits
