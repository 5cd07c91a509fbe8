// SPDX-License-Identifier: AGPL-3.0-only
// Carbonio's local config, conf/localconfig.xml: this host's name, paths, configd's port. A command
// reads it once. It holds passwords, so messages from here name keys and never show a value.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/base/result.hpp"

namespace carbonio {

class LocalConfig {
 public:
  // The defaults alone, for a host without the file; `zextras_home` is the key `zimbra_home`.
  explicit LocalConfig(const std::filesystem::path& zextras_home);

  // `name` is for messages. If a key occurs twice, the last one counts.
  static policyd::Result<LocalConfig> parse(std::string_view text, std::string_view name,
                                            const std::filesystem::path& zextras_home);
  // conf/localconfig.xml below `zextras_home`, at most 1 MiB. An Error if it is missing, not
  // readable, or broken.
  static policyd::Result<LocalConfig> load(const std::filesystem::path& zextras_home);

  // The value with each `${other_key}` in it expanded, up to ten times; nullopt if the key is empty
  // or missing without a default. An Error if it refers to itself or to a missing key, or grows
  // beyond 64 KiB.
  [[nodiscard]] policyd::Result<std::optional<std::string>> find(std::string_view key) const;

  // The same for a required key: an Error if there is no value.
  [[nodiscard]] policyd::Result<std::string> need(std::string_view key) const;
  // A TCP port, 1..65535.
  [[nodiscard]] policyd::Result<std::uint16_t> need_port(std::string_view key) const;

 private:
  std::string name_ = "the defaults";
  std::map<std::string, std::string, std::less<>> values_;  // before expansion
};

}  // namespace carbonio
