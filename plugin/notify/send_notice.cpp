// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/notify/send_notice.hpp"

#include <fmt/core.h>

#include <chrono>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/config/notice_command.hpp"
#include "hooks/system/run_program.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

constexpr std::chrono::seconds kSentWithin{20};
constexpr std::size_t kMaxReport = std::size_t{64} << 10;

// The first line that says something.
std::string first_line(std::string_view text) {
  for (const std::string_view line : split(text, '\n')) {
    if (!line.empty()) return shown(line);
  }
  return {};
}

policyd::Result<void> run(std::vector<std::string> words, const std::string& input) {
  const std::string name = escaped(words.front());
  const auto done = carbonio::run_program({std::move(words), kSentWithin, input, {}, kMaxReport});
  if (!done) return policyd::failure(fmt::format("{}: {}", name, done.error().message));
  if (done->status == 0) return {};
  const std::string said = first_line(done->err.empty() ? done->out : done->err);
  return policyd::failure(fmt::format("{} failed with status {}{}{}", name, done->status,
                                      said.empty() ? "" : ": ", said));
}

}  // namespace

std::filesystem::path sendmail_program(const policyd::Config& config,
                                       const std::filesystem::path& zextras_home) {
  if (!config.notify_sendmail.empty()) return config.notify_sendmail;
  std::filesystem::path carbonios = zextras_home / "common" / "sbin" / "sendmail";
  return carbonio::is_program(carbonios.string()) ? carbonios : "/usr/sbin/sendmail";
}

policyd::Result<void> send_mail(const std::filesystem::path& sendmail,
                                const policyd::Config& config, const std::string& host,
                                const std::string& mail) {
  std::vector<std::string> words = {sendmail.string(), "-oi", "-F", "Mail limits on " + host, "--"};
  words.insert(words.end(), config.notify_to.begin(), config.notify_to.end());
  return run(std::move(words), mail);
}

policyd::Result<void> run_notice_command(const policyd::Config& config, const std::string& json) {
  auto words = policyd::notice_command_words(config.notify_command);
  if (!words) return policyd::failure("command in [notify] is not an absolute path with words");
  return run(std::move(*words), json + "\n");
}

}  // namespace limits
