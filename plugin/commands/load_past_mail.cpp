// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/commands/load_past_mail.hpp"

#include <fmt/core.h>

#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "daemon/base/ascii.hpp"
#include "plugin/commands/with_database.hpp"
#include "plugin/events/since.hpp"
#include "plugin/terminal/progress.hpp"

namespace limits {
namespace {

constexpr const char* kLogFolder = "/var/log";
constexpr std::chrono::hours kDefaultDays{24 * 7};

}  // namespace

bool is_file_word(const std::string& word) {
  if (word.empty()) return false;
  if (word == "-" || word[0] == '/' || word[0] == '.') return true;
  std::error_code ignored;
  return !policyd::is_digit(word[0]) || std::filesystem::exists(word, ignored);
}

tl::expected<LoadedMail, Failure> load_past_mail(const Arguments& arguments,
                                                 const std::vector<std::string>& files,
                                                 const Context& context) {
  policyd::TimePoint since = files.empty() ? context.now - kDefaultDays : policyd::TimePoint{};
  if (const auto text = arguments.value("since")) {
    const auto time = parse_since(*text, context.now);
    if (!time) return wrong_use(time.error().message);
    since = *time;
  }
  std::vector<std::filesystem::path> paths(files.begin(), files.end());
  if (paths.empty()) paths = carbonio_log_files(kLogFolder);
  std::optional<OpenLog> log;
  if (!paths.empty()) {
    auto opened = OpenLog::open(paths, since, context.now);
    if (!opened) return failed(opened.error());
    log = std::move(*opened);
  }
  auto daemon = database_of(arguments, context);
  if (!daemon) return failed(daemon.error());
  auto database = open_as_owner(*daemon);
  if (!database) return failed(database.error());
  const auto of_database = [&](const policyd::Error& error) {
    return failed(fmt::format("database {}: {}", daemon->config.database.string(), error.message));
  };
  PastMail mail;
  if (log) {
    auto texts = refusal_texts(database->tables);
    if (!texts) return of_database(texts.error());
    Progress progress{"Reading the log"};
    auto read = log->read(std::move(*texts), [&](std::uint64_t done, std::uint64_t all) {
      progress.show(done, all);
      return !context.is_given_up();
    });
    if (!read) return failed(read.error());
    mail = past_mail(std::move(*read));
  } else {
    auto read = past_mail(database->tables, since, context.given_up);
    if (!read) return of_database(read.error());
    mail = std::move(*read);
    if (mail.mails.all.empty()) {
      return failed(
          "there is no mail log /var/log/carbonio.log, and session_tracking has no mail of that "
          "time; name the files, such as /var/log/mail.log*, or - for standard input");
    }
  }
  if (mail.mails.all.empty()) {
    return failed(fmt::format("the log has no mail that the policy daemon would be asked about{}",
                              arguments.has("since") || files.empty() ? " since then" : ""));
  }
  return LoadedMail{std::move(*daemon), std::move(*database), std::move(mail)};
}

}  // namespace limits
