// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/web/link.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "daemon/base/ascii.hpp"
#include "daemon/base/read_file.hpp"
#include "daemon/base/replace_file.hpp"
#include "plugin/web/random_text.hpp"

namespace limits {
namespace {

namespace fs = std::filesystem;

// A token is the name of the file, and then the secret that is in it.
constexpr std::size_t kNameBytes = 8;
constexpr std::size_t kSecretBytes = 24;
constexpr std::size_t kMaxFile = 4'096;

bool is_token(std::string_view token) {
  return token.size() == 2 * (kNameBytes + kSecretBytes) &&
         std::all_of(token.begin(), token.end(), policyd::is_hex_digit);
}

struct StoredLink {
  Link link;
  std::string secret;
};

std::optional<StoredLink> read_link(const fs::path& file) {
  const auto text = policyd::read_file(file, kMaxFile);
  if (!text) return std::nullopt;
  const auto json = nlohmann::json::parse(*text, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  const auto who = json.find("who"), write = json.find("write"), ends = json.find("ends"),
             secret = json.find("secret");
  if (who == json.end() || write == json.end() || ends == json.end() || secret == json.end() ||
      !who->is_string() || !write->is_boolean() || !ends->is_number_integer() ||
      !secret->is_string()) {
    return std::nullopt;
  }
  return StoredLink{{who->get<std::string>(), write->get<bool>(),
                     policyd::TimePoint{policyd::Millis{ends->get<std::int64_t>()}}},
                    secret->get<std::string>()};
}

// Also one of a clock that was set back since.
bool has_ended(const Link& link, policyd::TimePoint now) {
  return link.ends <= now || link.ends > now + kLinkLasts;
}

void remove_ended(const fs::path& folder, policyd::TimePoint now) {
  std::error_code code;
  for (fs::directory_iterator at{folder, code}, end; !code && at != end; at.increment(code)) {
    const auto stored = read_link(at->path());
    std::error_code ignored;
    if (!stored || has_ended(stored->link, now)) fs::remove(at->path(), ignored);
  }
}

}  // namespace

fs::path link_folder(const fs::path& zextras_home) {
  return zextras_home / "data" / "cbpolicyd" / "links";
}

policyd::Result<std::string> make_link(const fs::path& folder, std::string who, bool write,
                                       policyd::TimePoint now) {
  std::error_code code;
  fs::create_directories(folder, code);
  if (!code) fs::permissions(folder, fs::perms::owner_all, code);
  if (code) {
    return policyd::failure(fmt::format("cannot make {}: {}", folder.string(), code.message()));
  }
  remove_ended(folder, now);
  const std::string name = random_text(kNameBytes), secret = random_text(kSecretBytes);
  const nlohmann::json json = {{"who", std::move(who)},
                               {"write", write},
                               {"ends", (now + kLinkLasts).time_since_epoch().count()},
                               {"secret", secret}};
  constexpr mode_t kOwnerOnly = 0600;
  const fs::path file = folder / name;
  const auto written = policyd::replace_file(
      file, json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace), kOwnerOnly);
  if (!written) {
    return policyd::failure(
        fmt::format("cannot write {}: {}", file.string(), written.error().message));
  }
  return name + secret;
}

std::optional<Link> take_link(const fs::path& folder, std::string_view token,
                              policyd::TimePoint now) {
  if (!is_token(token)) return std::nullopt;
  const fs::path file = folder / token.substr(0, 2 * kNameBytes);
  auto stored = read_link(file);
  if (!stored || !is_same_secret(stored->secret, token.substr(2 * kNameBytes))) {
    return std::nullopt;
  }
  std::error_code code;
  // Whoever removes it has it.
  if (!fs::remove(file, code) || code || has_ended(stored->link, now)) return std::nullopt;
  return std::move(stored->link);
}

}  // namespace limits
