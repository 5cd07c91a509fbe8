// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/database/own_config.hpp"

#include <fmt/core.h>

#include <cerrno>
#include <fstream>
#include <system_error>

#include "daemon/base/read_file.hpp"
#include "daemon/config/ini.hpp"

namespace limits {

namespace fs = std::filesystem;

policyd::Result<void> edit_own_config(
    const fs::path& file,
    const std::function<policyd::Result<std::string>(std::string_view text)>& edit) {
  const auto text = policyd::read_file(file, policyd::kMaxIniBytes);
  if (!text && text.error().code != ENOENT) {
    return policyd::failure(fmt::format("cannot read {}: {}", file.string(), text.error().message));
  }
  const auto edited = edit(text.value_or(""));
  if (!edited) return tl::unexpected{edited.error()};
  const fs::path fresh = file.string() + ".new";
  std::error_code code;
  std::ofstream out{fresh, std::ios::binary | std::ios::trunc};
  out << *edited;
  const bool written = static_cast<bool>(out.flush());
  if (written && text) fs::permissions(fresh, fs::status(file).permissions(), code);
  if (written && !code) fs::rename(fresh, file, code);
  if (written && !code) return {};
  std::error_code ignored;
  fs::remove(fresh, ignored);
  return policyd::failure(fmt::format("cannot write {}", file.string()));
}

}  // namespace limits
