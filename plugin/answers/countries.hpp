// SPDX-License-Identifier: AGPL-3.0-only
// The country of a client, for signal `countries`: from a file in MaxMind's format that the admin
// has, read by libmaxminddb, without which the program may have been built.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "daemon/base/result.hpp"
#include "plugin/block/block_settings.hpp"

namespace limits {

class Countries {
 public:
  static policyd::Result<Countries> open(const std::filesystem::path& file);
  ~Countries();
  Countries(Countries&&) noexcept;
  Countries& operator=(Countries&&) noexcept;
  Countries(const Countries&) = delete;
  Countries& operator=(const Countries&) = delete;

  // "DE"; empty if the file does not tell.
  [[nodiscard]] std::string country_of(const std::string& client) const;

 private:
  struct File;
  explicit Countries(std::unique_ptr<File> file);
  std::unique_ptr<File> file_;
};

// The file that [block] countries names; an Error if it names none.
policyd::Result<Countries> open_countries(const BlockSettings& settings);

}  // namespace limits
