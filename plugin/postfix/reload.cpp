// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/postfix/reload.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "daemon/base/shell_words.hpp"
#include "hooks/system/run_program.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {

policyd::Result<void> reload_postfix(const std::filesystem::path& zextras_home) {
  constexpr std::chrono::seconds kWithin{30};
  constexpr std::size_t kMaxShown = 200;
  const std::string program = (zextras_home / "common" / "sbin" / "postfix").string();
  if (!carbonio::is_program(program)) return {};
  std::vector<std::string> words = {program, "reload"};
  if (::geteuid() != 0) words.insert(words.begin(), {"/usr/bin/sudo", "-n"});
  const auto done = carbonio::run_program({words, kWithin});
  if (done && done->status == 0) return {};
  const std::string said = done ? done->err + done->out : done.error().message;
  if (said.find("not running") != std::string::npos) return {};
  return policyd::failure(fmt::format("Postfix was not reloaded: {}; as root, run: {} reload",
                                      shown(said.substr(0, kMaxShown)),
                                      policyd::shell_word(program)));
}

}  // namespace limits
