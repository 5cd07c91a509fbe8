// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/postfix/postscreen.hpp"

#include <array>
#include <vector>

#include "hooks/system/run_program.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

struct Names {
  const char* attribute;
  const char* parameter;
  const char* former = nullptr;  // before Postfix 3.6
};
constexpr std::array<Names, 8> kNames = {{
    {"zimbraMtaPostscreenGreetAction", "postscreen_greet_action"},
    {"zimbraMtaPostscreenDnsblAction", "postscreen_dnsbl_action"},
    {"zimbraMtaPostscreenDnsblSites", "postscreen_dnsbl_sites"},
    {"zimbraMtaPostscreenDnsblThreshold", "postscreen_dnsbl_threshold"},
    {"zimbraMtaPostscreenBlacklistAction", "postscreen_denylist_action",
     "postscreen_blacklist_action"},
    {"zimbraMtaPostscreenPipeliningEnable", "postscreen_pipelining_enable"},
    {"zimbraMtaPostscreenBareNewlineEnable", "postscreen_bare_newline_enable"},
    {"zimbraMtaPostscreenNonSmtpCommandEnable", "postscreen_non_smtp_command_enable"},
}};

}  // namespace

PostscreenParameters parse_postscreen(std::string_view output) {
  std::map<std::string, std::string, std::less<>> values;
  for (const std::string_view line : split(output, '\n')) {
    const std::size_t equals = line.find(" =");
    if (equals == std::string_view::npos) continue;
    const std::string_view value = line.substr(equals + 2);
    values[std::string{line.substr(0, equals)}] =
        value.substr(std::min<std::size_t>(value.find_first_not_of(' '), value.size()));
  }
  PostscreenParameters out;
  for (const Names& each : kNames) {
    // The newer name's default is the value of the former one.
    for (const char* name : {each.parameter, each.former}) {
      if (name == nullptr || out.contains(each.attribute)) continue;
      if (const auto found = values.find(name); found != values.end()) {
        out[each.attribute] = {name, found->second};
      }
    }
  }
  return out;
}

std::optional<PostscreenParameters> read_postscreen(const std::filesystem::path& zextras_home) {
  constexpr std::chrono::seconds kWithin{10};
  const std::string program = (zextras_home / "common" / "sbin" / "postconf").string();
  if (!carbonio::is_program(program)) return std::nullopt;
  std::vector<std::string> words = {program, "-x"};
  for (const Names& each : kNames) {
    words.emplace_back(each.parameter);
    if (each.former != nullptr) words.emplace_back(each.former);
  }
  // It warns about names that are not of its version.
  const auto done = carbonio::run_program({words, kWithin});
  if (!done) return std::nullopt;
  auto out = parse_postscreen(done->out);
  if (out.empty()) return std::nullopt;
  return out;
}

}  // namespace limits
