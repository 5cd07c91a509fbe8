// SPDX-License-Identifier: AGPL-3.0-only
#include "hooks/carbonio/localconfig.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <pugixml.hpp>

#include "daemon/base/ascii.hpp"
#include "daemon/base/read_file.hpp"

namespace carbonio {
namespace {

namespace fs = std::filesystem;
using policyd::failure;
using policyd::Result;

constexpr std::size_t kMaxBytes = std::size_t{1} << 20;
constexpr std::size_t kMaxValue = std::size_t{64} << 10;
constexpr int kMaxExpansions = 10;
constexpr std::string_view kBegin = "${";

// One pass over the value, in which each reference is replaced by that key's value.
template <typename Values>
Result<std::string> expand_once(const std::string& value, const Values& values) {
  std::string out;
  std::size_t from = 0;
  for (;;) {
    const std::size_t begin = value.find(kBegin, from);
    const std::size_t end = begin == std::string::npos ? begin : value.find('}', begin);
    if (end == std::string::npos) break;
    const std::size_t name = begin + kBegin.size();
    const auto found = values.find(std::string_view{value}.substr(name, end - name));
    if (found == values.end()) return failure("it refers to a missing key");
    out.append(value, from, begin - from).append(found->second);
    if (out.size() > kMaxValue) return failure("it expands to more than 64 KiB");
    from = end + 1;
  }
  return out.append(value, from, std::string::npos);
}

bool has_reference(const std::string& value) {
  const std::size_t begin = value.find(kBegin);
  return begin != std::string::npos && value.find('}', begin) != std::string::npos;
}

}  // namespace

// Those of Carbonio's own known keys that we need.
LocalConfig::LocalConfig(const fs::path& zextras_home)
    : values_{
          {"zimbra_home", zextras_home.string()},
          {"zmconfigd_listen_port", "7171"},
      } {}

Result<LocalConfig> LocalConfig::parse(std::string_view text, std::string_view name,
                                       const fs::path& zextras_home) {
  LocalConfig out{zextras_home};
  out.name_ = name;
  pugi::xml_document document;
  const auto parsed = document.load_buffer(text.data(), text.size());
  if (!parsed) {
    const auto offset =
        std::min(static_cast<std::size_t>(std::max<std::ptrdiff_t>(parsed.offset, 0)), text.size());
    const auto line =
        std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(offset), '\n');
    return failure(fmt::format("{}:{}: broken XML: {}", name, line + 1, parsed.description()));
  }
  const pugi::xml_node root = document.child("localconfig");
  if (!root) return failure(fmt::format("{}: there is no element <localconfig>", name));
  for (const pugi::xml_node key : root.children("key")) {
    const std::string_view key_name = key.attribute("name").value();
    if (!key_name.empty()) out.values_[std::string{key_name}] = key.child("value").text().get();
  }
  return out;
}

Result<LocalConfig> LocalConfig::load(const fs::path& zextras_home) {
  const fs::path file = zextras_home / "conf" / "localconfig.xml";
  const auto text = policyd::read_file(file, kMaxBytes);
  if (!text) {
    return failure(
        fmt::format("cannot read {}: {}; run this as zextras or root, on a host with "
                    "Carbonio",
                    file.string(), text.error().message));
  }
  return parse(*text, file.string(), zextras_home);
}

Result<std::optional<std::string>> LocalConfig::find(std::string_view key) const {
  const auto found = values_.find(key);
  if (found == values_.end()) return std::nullopt;
  const auto wrong = [&](std::string_view why) {
    return failure(fmt::format("{}: the value of key {} is not usable: {}", name_, key, why));
  };
  std::string value = found->second;
  for (int i = 0; i < kMaxExpansions && has_reference(value); ++i) {
    auto expanded = expand_once(value, values_);
    if (!expanded) return wrong(expanded.error().message);
    value = std::move(*expanded);
  }
  if (has_reference(value)) return wrong("it still refers to other keys after ten expansions");
  if (value.empty()) return std::nullopt;
  return value;
}

Result<std::string> LocalConfig::need(std::string_view key) const {
  auto value = find(key);
  if (!value) return tl::unexpected{value.error()};
  if (!*value) {
    return failure(
        fmt::format("{}: key {} is missing or empty; set it with 'zmlocalconfig -e'", name_, key));
  }
  return **value;
}

Result<std::uint16_t> LocalConfig::need_port(std::string_view key) const {
  const auto value = need(key);
  if (!value) return tl::unexpected{value.error()};
  const auto port = policyd::parse_number<std::uint16_t>(*value).value_or(0);
  if (port == 0) {
    return failure(
        fmt::format("{}: the value of key {} is not a valid port (1 to 65535)", name_, key));
  }
  return port;
}

}  // namespace carbonio
