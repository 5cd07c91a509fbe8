// SPDX-License-Identifier: AGPL-3.0-only
// The files that signals read beside the database, opened before the command becomes the owner of
// that.
#pragma once

#include <optional>
#include <string>

#include "plugin/answers/bounces.hpp"
#include "plugin/answers/countries.hpp"
#include "plugin/block/block_settings.hpp"
#include "plugin/cli/command.hpp"

namespace limits {

struct SignalFiles {
  BounceReader bounces;
  std::optional<Countries> countries;
  std::string no_countries;  // why there are none, as a sentence without a full stop

  [[nodiscard]] const Countries* known_countries() const {
    return countries ? &*countries : nullptr;
  }
};

policyd::Result<SignalFiles> open_signal_files(const Arguments& arguments, const Context& context);

}  // namespace limits
