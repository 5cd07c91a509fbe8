// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/commands/signal_files.hpp"

#include <utility>

#include "plugin/commands/with_database.hpp"

namespace limits {

policyd::Result<SignalFiles> open_signal_files(const Arguments& arguments, const Context& context) {
  const auto daemon = database_of(arguments, context);
  if (!daemon) return tl::unexpected{daemon.error()};
  const auto settings = read_block_settings(policyd::own_config_of(daemon->file));
  if (!settings) return tl::unexpected{settings.error()};
  SignalFiles out{
      BounceReader::open(settings->mail_log, bounce_state_file(context.zextras_home)), {}, {}};
  auto countries = open_countries(*settings);
  if (countries) {
    out.countries = std::move(*countries);
  } else {
    out.no_countries = countries.error().message;
  }
  return out;
}

}  // namespace limits
