// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/host/this_carbonio.hpp"

#include <fmt/core.h>

#include "daemon/base/ascii.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {

tl::expected<std::chrono::seconds, Failure> seconds_of(const Arguments& arguments,
                                                       const Option& option,
                                                       std::chrono::seconds default_value) {
  constexpr int kMaxSeconds = 3600;
  const auto text = arguments.value(std::string{option.name});
  if (!text) return default_value;
  const int seconds = policyd::parse_number<int>(*text).value_or(0);
  if (seconds < 1 || seconds > kMaxSeconds) {
    return wrong_use(
        fmt::format("--{}: not a valid timeout: '{}' (a number of seconds from 1 to 3600)",
                    option.name, shown(*text)));
  }
  return std::chrono::seconds{seconds};
}

tl::expected<ThisCarbonio, Failure> find_this_carbonio(const std::filesystem::path& zextras_home,
                                                       const Arguments& arguments) {
  const auto deadline = seconds_of(arguments, kProvTimeoutOption, std::chrono::seconds{60});
  if (!deadline) return tl::unexpected{deadline.error()};
  auto config = carbonio::LocalConfig::load(zextras_home);
  if (!config) return unchanged(config.error());
  auto server = config->need("zimbra_server_hostname");
  if (!server) return unchanged(server.error());
  auto user = config->find("zimbra_user");
  if (!user) return unchanged(user.error());
  carbonio::Prov prov{zextras_home, user->value_or(carbonio::Prov{}.user), *deadline};
  return ThisCarbonio{std::move(*config), std::move(*server), std::move(prov)};
}

}  // namespace limits
