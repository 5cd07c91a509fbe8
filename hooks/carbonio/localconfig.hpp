// SPDX-License-Identifier: AGPL-3.0-only
// Carbonio's local config, conf/localconfig.xml: what this host is called, where things are, which
// port configd listens on. Read once by a command. It holds passwords: no message from here has a
// value in it, only names of keys.
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

  // `name` stands in messages. Where a key is there twice, the last one counts.
  static policyd::Result<LocalConfig> parse(std::string_view text, std::string_view name,
                                            const std::filesystem::path& zextras_home);
  // conf/localconfig.xml below `zextras_home`, at most 1 MiB of it. An Error where it is missing,
  // may not be read, or is broken.
  static policyd::Result<LocalConfig> load(const std::filesystem::path& zextras_home);

  // The value with each `${other_key}` in it expanded, up to ten times; nullopt where the key is
  // neither there nor has a default, or is empty. An Error where it refers to itself, to a key that
  // is not there, or grows beyond 64 KiB.
  [[nodiscard]] policyd::Result<std::optional<std::string>> find(std::string_view key) const;

  // The same for a key that is needed: an Error where there is no value.
  [[nodiscard]] policyd::Result<std::string> need(std::string_view key) const;
  // A TCP port, 1..65535.
  [[nodiscard]] policyd::Result<std::uint16_t> need_port(std::string_view key) const;

 private:
  std::string name_ = "the defaults";
  std::map<std::string, std::string, std::less<>> values_;  // as they are written
};

}  // namespace carbonio
