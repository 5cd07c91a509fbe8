// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/host/server_switch.hpp"

#include <fmt/core.h>

#include "plugin/terminal/text.hpp"

namespace limits {

using carbonio::EntryResult;

tl::expected<Configd, Failure> configd_of(const ThisCarbonio& carbonio,
                                          const Arguments& arguments) {
  const auto within = seconds_of(arguments, kRewriteTimeoutOption, std::chrono::seconds{60});
  if (!within) return tl::unexpected{within.error()};
  const auto port = carbonio.config.need_port("zmconfigd_listen_port");
  if (!port) return failed(fmt::format("{}; nothing was changed", port.error().message));
  return Configd{*port, *within};
}

tl::expected<ServerAnswers, Failure> ask_about(const ThisCarbonio& carbonio,
                                               const carbonio::Selection& selection,
                                               const std::vector<std::string>& attributes,
                                               carbonio::Inherited inherited,
                                               const std::vector<carbonio::ProvCommand>& more) {
  const auto cannot = [](const policyd::Error& error) {
    return failed(fmt::format("{}; nothing was changed", error.message));
  };
  auto questions = more;
  const auto about = carbonio::directory_questions(selection, attributes, inherited);
  questions.insert(questions.end(), about.begin(), about.end());
  auto answers = carbonio::ask_all(carbonio.prov, questions);
  if (!answers) return cannot(answers.error());
  auto directory = carbonio::directory_in(
      std::span<const std::string>{*answers}.subspan(more.size()), selection);
  if (!directory) return cannot(directory.error());
  answers->resize(more.size());
  return ServerAnswers{std::move(*answers), std::move(*directory)};
}

const carbonio::Entry* entry_of(const carbonio::Directory& directory, const std::string& server) {
  for (const carbonio::Entry& entry : directory.entries) {
    if (equal_ignoring_case(entry.name, server)) return &entry;
  }
  return nullptr;
}

std::string shown_name(const std::string& name) {
  return name.empty() ? "the global configuration" : shown(name);
}

Outcome report_changes(const std::vector<EntryResult>& all, StepReport& steps) {
  std::vector<std::string> right;
  std::string wrong;
  for (const EntryResult& each : all) {
    const std::string name = shown_name(each.name);
    switch (each.state) {
      case EntryResult::State::unchanged:
        steps.unchanged(fmt::format("attributes of {}", name));
        right.push_back(name);
        continue;
      case EntryResult::State::done:
        steps.done(escaped(carbonio::as_typed(each.command)));
        right.push_back(name);
        continue;
      case EntryResult::State::failed:
        steps.wrong(fmt::format("{} was not changed: {}", name, escaped(each.why)));
        wrong += fmt::format("{} was not changed ({}); ", name, each.why);
        continue;
      case EntryResult::State::unknown:
        steps.wrong(fmt::format("{} may not have been changed: {}", name, escaped(each.why)));
        wrong += fmt::format("{} may or may not have been changed ({}); ", name, each.why);
        continue;
    }
  }
  if (wrong.empty()) return {};
  return failed(fmt::format("{}{}; fix that and rerun the command; it resumes where it stopped",
                            wrong,
                            right.empty()       ? std::string{"nothing else was changed"}
                            : right.size() == 1 ? right.front() + " is correct"
                                                : join_with_and(right) + " are correct"));
}

void print_dry_run(const std::vector<std::string>& commands, Output& output) {
  if (commands.empty()) output.line("Nothing to change.");
  for (const std::string& command : commands) output.line(escaped(command));
  output.line("Nothing was changed (--dry-run).");
}

std::string rewrite_as_typed(const Configd& configd, std::string_view sections) {
  return fmt::format("echo 'REWRITE {}' | nc 127.0.0.1 {}", sections, configd.port);
}

}  // namespace limits
