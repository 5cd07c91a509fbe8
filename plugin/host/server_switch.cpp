// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/host/server_switch.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "hooks/carbonio/group_sync.hpp"

#include "plugin/terminal/text.hpp"

namespace limits {

using carbonio::EntryResult;

namespace {

// From --server and --all-mta; default: this host.
tl::expected<carbonio::Selection, Failure> selected_servers(const Arguments& arguments,
                                                            const std::string& this_host) {
  carbonio::Selection out;
  out.all_mta = arguments.has(std::string{kAllMtaOption.name});
  const auto given = arguments.values(std::string{kServerOption.name});
  if (out.all_mta && !given.empty()) return wrong_use("use either --server or --all-mta, not both");
  for (const std::string& name : given) {
    // Host names have the same form as domain names.
    const std::string member = carbonio::domain_member(name);
    if (member.empty()) return wrong_use(fmt::format("not a valid host name: '{}'", shown(name)));
    const std::string host = member.substr(1);
    if (std::find(out.servers.begin(), out.servers.end(), host) == out.servers.end()) {
      out.servers.push_back(host);
    }
  }
  if (!out.all_mta && given.empty()) out.servers.push_back(this_host);
  return out;
}

}  // namespace

tl::expected<ServerTask, Failure> server_task(const Arguments& arguments, const Context& context) {
  auto carbonio = find_this_carbonio(context.zextras_home, arguments);
  if (!carbonio) return tl::unexpected{carbonio.error()};
  const auto within = seconds_of(arguments, kRewriteTimeoutOption, std::chrono::seconds{60});
  if (!within) return tl::unexpected{within.error()};
  const auto port = carbonio->config.need_port("zmconfigd_listen_port");
  if (!port) return unchanged(port.error());
  auto selection = selected_servers(arguments, carbonio->server);
  if (!selection) return tl::unexpected{selection.error()};
  return ServerTask{std::move(*carbonio), {*port, *within}, std::move(*selection)};
}

tl::expected<ServerAnswers, Failure> ask_about(const ServerTask& task,
                                               const std::vector<std::string>& attributes,
                                               carbonio::Inherited inherited,
                                               const std::vector<carbonio::ProvCommand>& more) {
  auto questions = more;
  const auto about = carbonio::directory_questions(task.selection, attributes, inherited);
  questions.insert(questions.end(), about.begin(), about.end());
  auto answers = carbonio::ask_all(task.carbonio.prov, questions);
  if (!answers) return unchanged(answers.error());
  auto directory = carbonio::directory_in(
      std::span<const std::string>{*answers}.subspan(more.size()), task.selection);
  if (!directory) return unchanged(directory.error());
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
    if (each.state == EntryResult::State::unchanged) {
      steps.unchanged(fmt::format("attributes of {}", name));
      right.push_back(name);
    } else if (each.state == EntryResult::State::done) {
      steps.done(escaped(carbonio::as_typed(each.command)));
      right.push_back(name);
    } else {
      const bool known = each.state == EntryResult::State::failed;
      steps.wrong(fmt::format("{} {} changed: {}", name, known ? "was not" : "may not have been",
                              escaped(each.why)));
      wrong += fmt::format("{} {} changed ({}); ", name,
                           known ? "was not" : "may or may not have been", each.why);
    }
  }
  if (wrong.empty()) return {};
  return failed(fmt::format("{}{}; fix that and rerun the command; it resumes where it stopped",
                            wrong,
                            right.empty()       ? std::string{"nothing else was changed"}
                            : right.size() == 1 ? right.front() + " is correct"
                                                : join_with_and(right) + " are correct"));
}

std::vector<std::string> commands_for(const carbonio::Directory& directory,
                                      std::span<const carbonio::AttributeChange> changes) {
  std::vector<std::string> out;
  for (const carbonio::Entry& entry : directory.entries) {
    const auto command = carbonio::command_for(entry, directory.global, changes);
    if (!command.empty()) out.push_back(carbonio::as_typed(command));
  }
  return out;
}

void print_dry_run(const std::vector<std::string>& commands, Output& output) {
  if (commands.empty()) output.line("Nothing to change.");
  for (const std::string& command : commands) output.line(escaped(command));
  output.line("Nothing was changed (--dry-run).");
}

std::string rewrite_as_typed(const carbonio::Configd& configd, std::string_view sections) {
  return fmt::format("echo 'REWRITE {}' | nc 127.0.0.1 {}", sections, configd.port);
}

}  // namespace limits
