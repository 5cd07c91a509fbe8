// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/postfix/held_mail.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "daemon/base/ascii.hpp"
#include "daemon/names/name_form.hpp"
#include "hooks/system/run_program.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

using carbonio::Program;
using policyd::failure;
using policyd::Result;

// A hundred thousand messages are 30 MB, and move at some thousand a second.
constexpr std::chrono::minutes kQueueDeadline{5};
constexpr std::size_t kMaxQueueBytes = std::size_t{512} << 20;
constexpr std::size_t kMaxQueueId = 64;
constexpr std::size_t kMaxShownError = 200;
constexpr std::int64_t kLatestArrival = 9'999'999'999;  // in 2286; seconds since 1970

bool is_queue_id(std::string_view text) {
  return !text.empty() && text.size() <= kMaxQueueId &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return policyd::is_letter(c) || policyd::is_digit(c); });
}

std::string text_in(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string{};
}

// "postsuper: Placed on hold: 3 messages", in the last line that has a number.
std::size_t number_in(std::string_view report) {
  std::size_t out = 0;
  for (const std::string_view line : split(report, '\n')) {
    const std::size_t colon = line.rfind(": ");
    if (colon == std::string_view::npos || line.find("message", colon) == std::string_view::npos) {
      continue;
    }
    const std::string_view rest = line.substr(colon + 2);
    out = policyd::parse_number<std::size_t>(rest.substr(0, rest.find(' '))).value_or(out);
  }
  return out;
}

std::string first_line(std::string_view text) {
  while (!text.empty() && text.front() == '\n') text.remove_prefix(1);
  return shown(text.substr(0, std::min(text.find('\n'), kMaxShownError)));
}

}  // namespace

std::string identity_of(const QueuedMail& mail) {
  const auto arrived = std::chrono::floor<std::chrono::seconds>(mail.arrived.time_since_epoch());
  return fmt::format("{} {} {}", mail.queue_id, arrived.count(), mail.sender);
}

Result<QueuedMail> parse_queued(std::string_view line) {
  const auto object = nlohmann::json::parse(line, nullptr, false);
  if (!object.is_object()) return failure("a line of postqueue -j is no JSON object");
  QueuedMail out;
  out.queue_id = text_in(object, "queue_id");
  out.sender = policyd::address_form(text_in(object, "sender"));
  if (out.sender == "MAILER-DAEMON" || out.sender == "mailer-daemon") out.sender.clear();
  out.held = text_in(object, "queue_name") == "hold";
  if (const auto at = object.find("arrival_time"); at != object.end() && at->is_number_integer()) {
    const auto seconds = std::clamp(at->get<std::int64_t>(), std::int64_t{0}, kLatestArrival);
    out.arrived = policyd::TimePoint{std::chrono::seconds{seconds}};
  }
  if (!is_queue_id(out.queue_id)) return failure("a line of postqueue -j has no valid queue_id");
  return out;
}

PostfixQueue::PostfixQueue(const std::filesystem::path& zextras_home,
                           std::string_view search_path) {
  std::vector<std::string> folders = {(zextras_home / "common" / "sbin").string()};
  for (const std::string_view folder : split(search_path, ':')) folders.emplace_back(folder);
  folders.emplace_back("/usr/sbin");
  for (const std::string& folder : folders) {
    if (!folder.starts_with('/') || !carbonio::is_program(folder + "/postqueue")) continue;
    folder_ = folder;
    return;
  }
}

Result<std::vector<QueuedMail>> PostfixQueue::find(
    const std::function<bool(const QueuedMail&)>& wanted) const {
  if (folder_.empty()) return failure("this host has no postqueue");
  const std::string program = folder_ + "/postqueue";
  const auto done =
      carbonio::run_program(Program{{program, "-j"}, kQueueDeadline, {}, {}, kMaxQueueBytes});
  if (!done) return failure(fmt::format("{}: {}", program, done.error().message));
  if (done->status != 0) {
    return failure(fmt::format("{}: {}", program, first_line(done->err)));
  }
  std::vector<QueuedMail> out;
  for (const std::string_view line : split(done->out, '\n')) {
    if (line.empty()) continue;
    auto mail = parse_queued(line);
    if (!mail) return failure(fmt::format("{}: {}", program, mail.error().message));
    if (wanted(*mail)) out.push_back(std::move(*mail));
  }
  return out;
}

Result<std::size_t> PostfixQueue::act(Action action,
                                      const std::vector<std::string>& queue_ids) const {
  if (queue_ids.empty()) return 0;
  if (folder_.empty()) return failure("this host has no postsuper");
  const std::string option = fmt::format("-{}", static_cast<char>(action));
  const std::string program = folder_ + "/postsuper";
  std::vector<std::string> words = {program, option, "-"};
  if (::geteuid() != 0) words.insert(words.begin(), {"/usr/bin/sudo", "-n"});
  std::string input;
  for (const std::string& id : queue_ids) input += id + '\n';
  const auto done = carbonio::run_program(
      Program{std::move(words), kQueueDeadline, std::move(input), {}, kMaxQueueBytes});
  if (done && done->status == 0) return number_in(done->err);
  const std::string why = done ? first_line(done->err + done->out) : done.error().message;
  return failure(fmt::format("{} {}: {}; run carbonio-limits as root", program, option, why));
}

}  // namespace limits
