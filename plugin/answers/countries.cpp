// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/answers/countries.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "plugin/terminal/text.hpp"

#ifdef LIMITS_MAXMINDDB
#include <maxminddb.h>
#endif

namespace limits {

#ifdef LIMITS_MAXMINDDB

namespace {

bool is_country(std::string_view text) {
  return text.size() == 2 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}

std::string text_at(MMDB_entry_s& entry, const std::array<const char*, 3>& path) {
  MMDB_entry_data_s data{};
  if (::MMDB_aget_value(&entry, &data, path.data()) != MMDB_SUCCESS || !data.has_data ||
      data.type != MMDB_DATA_TYPE_UTF8_STRING) {
    return {};
  }
  const std::string_view text{data.utf8_string, data.data_size};
  return is_country(text) ? std::string{text} : std::string{};
}

}  // namespace

struct Countries::File {
  MMDB_s database{};
  bool is_open = false;

  File() = default;
  ~File() {
    if (is_open) ::MMDB_close(&database);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
};

policyd::Result<Countries> Countries::open(const std::filesystem::path& file) {
  auto out = std::make_unique<File>();
  const int code = ::MMDB_open(file.c_str(), MMDB_MODE_MMAP, &out->database);
  if (code != MMDB_SUCCESS) {
    return policyd::failure(
        fmt::format("cannot read {}: {}", shown(file.string()), ::MMDB_strerror(code)));
  }
  out->is_open = true;
  return Countries{std::move(out)};
}

// MaxMind's own files, and those of others that have the country as a text.
std::string Countries::country_of(const std::string& client) const {
  constexpr std::array<std::array<const char*, 3>, 4> kPaths = {
      {{"country", "iso_code", nullptr},
       {"registered_country", "iso_code", nullptr},
       {"country_code", nullptr, nullptr},
       {"country", nullptr, nullptr}}};
  int no_address = 0;
  int code = MMDB_SUCCESS;
  MMDB_lookup_result_s found =
      ::MMDB_lookup_string(&file_->database, client.c_str(), &no_address, &code);
  if (no_address != 0 || code != MMDB_SUCCESS || !found.found_entry) return {};
  for (const auto& path : kPaths) {
    std::string country = text_at(found.entry, path);
    if (!country.empty()) return country;
  }
  return {};
}

#else

struct Countries::File {};

policyd::Result<Countries> Countries::open(const std::filesystem::path& file) {
  return policyd::failure(
      fmt::format("{} cannot be read, because this program was built without libmaxminddb",
                  shown(file.string())));
}

std::string Countries::country_of(const std::string&) const { return {}; }

#endif

Countries::Countries(std::unique_ptr<File> file) : file_(std::move(file)) {}
Countries::~Countries() = default;
Countries::Countries(Countries&&) noexcept = default;
Countries& Countries::operator=(Countries&&) noexcept = default;

policyd::Result<Countries> open_countries(const BlockSettings& settings) {
  if (settings.countries.empty()) {
    return policyd::failure("[block] countries names no file");
  }
  return Countries::open(settings.countries);
}

}  // namespace limits
