// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/block/held_record.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <string_view>
#include <system_error>
#include <utility>

#include "daemon/base/read_file.hpp"
#include "daemon/base/replace_file.hpp"
#include "daemon/base/unique_fd.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

using policyd::failure;
using policyd::Result;
using policyd::TimePoint;

constexpr std::size_t kMaxRecord = std::size_t{64} << 20;  // some millions of queue IDs

std::int64_t seconds_in(TimePoint time) {
  return std::chrono::floor<std::chrono::seconds>(time.time_since_epoch()).count();
}

Result<std::string> read_record(const std::filesystem::path& file) {
  auto text = policyd::read_file(file, kMaxRecord);
  if (text) return std::move(*text);
  if (text.error().code == ENOENT) return std::string{};
  return failure(fmt::format("cannot read {}: {}", file.string(), text.error().message));
}

// The object of a line; not one if the line is damaged or too old.
nlohmann::json entry_of(std::string_view line, TimePoint now) {
  auto entry = nlohmann::json::parse(line, nullptr, false);
  const auto known = [&](const char* key) {
    const auto found = entry.find(key);
    return found != entry.end() && found->is_array() &&
           std::all_of(found->begin(), found->end(), [](const auto& e) { return e.is_string(); });
  };
  if (!entry.is_object() || !known("items") || !known("mails")) return {};
  const auto at = entry.find("at");
  if (at == entry.end() || !at->is_number_integer()) return {};
  if (at->get<std::int64_t>() < seconds_in(now - kHeldFor)) return {};
  return entry;
}

bool is_about(const nlohmann::json& entry, std::span<const std::string> items) {
  const auto& names = entry["items"];
  return std::any_of(items.begin(), items.end(), [&](const std::string& item) {
    return std::find(names.begin(), names.end(), item) != names.end();
  });
}

// Adds a line and leaves out those that are damaged, too old or not `kept`.
template <typename Kept>
Result<void> add_line(const std::filesystem::path& file, const nlohmann::json& added, TimePoint now,
                      const Kept& kept) {
  const std::string folder = file.parent_path().string();
  // One at a time; the file itself is replaced.
  const policyd::UniqueFd lock{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!lock || ::flock(lock.get(), LOCK_EX) != 0) {
    return failure(
        fmt::format("cannot open {}: {}", folder, std::generic_category().message(errno)));
  }
  const auto before = read_record(file);
  if (!before) return tl::unexpected{before.error()};
  std::string text;
  for (const std::string_view line : split(*before, '\n')) {
    const nlohmann::json entry = entry_of(line, now);
    if (entry.is_object() && kept(entry)) text.append(line).append("\n");
  }
  text += added.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace) + '\n';
  const auto written = policyd::replace_file(file, text, 0640);
  if (written) return {};
  return failure(fmt::format("cannot write {}: {}", file.string(), written.error().message));
}

nlohmann::json line_of(std::span<const std::string> items, TimePoint now) {
  return {{"at", seconds_in(now)},
          {"items", std::vector<std::string>(items.begin(), items.end())},
          {"mails", nlohmann::json::array()}};
}

}  // namespace

std::filesystem::path held_record_file(const std::filesystem::path& database) {
  return database.string() + ".held";
}

Result<void> record_held(const std::filesystem::path& file, std::span<const std::string> items,
                         const std::vector<std::string>& mails, TimePoint now) {
  nlohmann::json line = line_of(items, now);
  line["mails"] = mails;
  return add_line(file, line, now, [](const nlohmann::json&) { return true; });
}

Result<void> record_settled(const std::filesystem::path& file, std::span<const std::string> items,
                            TimePoint now) {
  nlohmann::json line = line_of(items, now);
  line["settled"] = true;
  return add_line(file, line, now,
                  [&](const nlohmann::json& entry) { return !is_about(entry, items); });
}

Result<HeldRecord> read_held_record(const std::filesystem::path& file,
                                    std::span<const std::string> items, TimePoint now) {
  const auto text = read_record(file);
  if (!text) return tl::unexpected{text.error()};
  HeldRecord out;
  for (const std::string_view line : split(*text, '\n')) {
    const nlohmann::json entry = entry_of(line, now);
    if (!entry.is_object() || !is_about(entry, items)) continue;
    for (const auto& mail : entry["mails"]) out.mails.insert(mail.get<std::string>());
    if (!entry.contains("settled")) continue;
    const TimePoint at{
        std::chrono::seconds{std::min(entry["at"].get<std::int64_t>(), seconds_in(now))}};
    out.settled = std::max(out.settled.value_or(at), at);
  }
  return out;
}

}  // namespace limits
