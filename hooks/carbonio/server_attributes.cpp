// SPDX-License-Identifier: AGPL-3.0-only
#include "hooks/carbonio/server_attributes.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace carbonio {
namespace {

using policyd::failure;
using policyd::Result;

std::vector<std::string> attribute_names(std::span<const AttributeChange> changes) {
  std::vector<std::string> out;
  for (const AttributeChange& change : changes) {
    if (std::find(out.begin(), out.end(), change.attribute) == out.end()) {
      out.push_back(change.attribute);
    }
  }
  return out;
}

ProvCommand reading(const std::string& server, const std::vector<std::string>& attributes,
                    Inherited inherited) {
  ProvCommand out = server.empty() ? ProvCommand{"gacf"} : ProvCommand{"gs"};
  if (!server.empty()) {
    if (inherited == Inherited::without) out.emplace_back("-e");
    out.push_back(server);
  }
  out.insert(out.end(), attributes.begin(), attributes.end());
  return out;
}

// The server's own values, else the global ones, else the default.
std::vector<std::string> values_in_force(const Entry& entry, const Attributes& global,
                                         const AttributeChange& change) {
  auto values = entry.attributes.values(change.attribute);
  if (values.empty() && !entry.name.empty()) values = global.values(change.attribute);
  if (values.empty() && !change.default_value.empty()) values.push_back(change.default_value);
  return values;
}

bool contains(const std::vector<std::string>& values, const std::string& value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

// An entry to change, with the index of the answer that shows its attributes afterwards.
struct Planned {
  const Entry* entry;
  EntryResult* result;
  std::size_t answer_index = 0;
};

Result<Entry> entry_in(const std::string& answer, const std::string& name) {
  if (name.empty()) return Entry{{}, attributes_in(answer)};
  auto server = server_in(answer);
  if (!server) return failure(fmt::format("carbonio prov: gs {} did not show a server", name));
  return std::move(*server);
}

// The state of each, as read back. `errors` are those of the call, which do not name a command.
void set_states(std::vector<Planned>& all, const std::vector<std::string>& answers,
                const Attributes& global, std::span<const AttributeChange> changes,
                const std::vector<ProvError>& errors) {
  std::vector<EntryResult*> failed;
  for (Planned& planned : all) {
    const auto now = entry_in(answers[planned.answer_index], planned.entry->name);
    const bool done =
        now && std::all_of(changes.begin(), changes.end(), [&](const AttributeChange& change) {
          return is_applied(*now, global, change);
        });
    planned.result->state = done ? EntryResult::State::done : EntryResult::State::failed;
    if (!done) failed.push_back(planned.result);
  }
  const bool one_each = errors.size() == failed.size();
  for (std::size_t i = 0; i < failed.size(); ++i) {
    if (errors.empty()) {
      failed[i]->why = "carbonio prov reported no error, but the value did not change";
    } else {
      failed[i]->why = errors[one_each ? i : 0].to_string();
    }
  }
}

}  // namespace

std::vector<ProvCommand> directory_questions(const Selection& selection,
                                             const std::vector<std::string>& attributes,
                                             Inherited inherited) {
  std::vector<ProvCommand> out;
  out.push_back(reading({}, attributes, inherited));
  if (selection.all_mta) {
    // With all attributes: anything less takes more than one call.
    out.push_back(inherited == Inherited::without ? ProvCommand{"gas", "-v", "-e", "mta"}
                                                  : ProvCommand{"gas", "-v", "mta"});
  }
  for (const std::string& server : selection.servers) {
    out.push_back(reading(server, attributes, inherited));
  }
  return out;
}

Result<Directory> directory_in(std::span<const std::string> answers, const Selection& selection) {
  Directory out;
  out.global = attributes_in(answers[0]);
  if (selection.global) out.entries.push_back({{}, out.global});
  std::size_t next = 1;
  if (selection.all_mta) {
    for (Entry& server : servers_in(answers[next++])) out.entries.push_back(std::move(server));
    if (out.entries.empty()) return failure("carbonio prov: gas listed no MTA host");
  }
  for (const std::string& name : selection.servers) {
    auto entry = entry_in(answers[next++], name);
    if (!entry) return tl::unexpected{entry.error()};
    out.entries.push_back(std::move(*entry));
  }
  return out;
}

Result<std::vector<std::string>> ask_all(const Prov& prov,
                                         const std::vector<ProvCommand>& questions) {
  auto answers = prov.ask(questions);
  if (!answers) return tl::unexpected{answers.error()};
  if (!answers->errors.empty()) {
    return failure(fmt::format("carbonio prov: {}", answers->errors.front().to_string()));
  }
  return std::move(answers->answers);
}

bool is_applied(const Entry& entry, const Attributes& global, const AttributeChange& change) {
  const auto values = values_in_force(entry, global, change);
  switch (change.action) {
    case AttributeChange::Action::set:
      return values == std::vector<std::string>{change.value};
    case AttributeChange::Action::add:
      return contains(values, change.value);
    case AttributeChange::Action::remove:
      return !contains(values, change.value);
  }
  return false;
}

ProvCommand command_for(const Entry& entry, const Attributes& global,
                        std::span<const AttributeChange> changes) {
  ProvCommand out = entry.name.empty() ? ProvCommand{"mcf"} : ProvCommand{"ms", entry.name};
  const std::size_t empty_size = out.size();
  std::vector<std::string> copied;
  for (const AttributeChange& change : changes) {
    if (is_applied(entry, global, change)) continue;
    const bool inherits = !entry.name.empty() && entry.attributes.values(change.attribute).empty();
    if (change.action == AttributeChange::Action::add && inherits &&
        !contains(copied, change.attribute)) {
      copied.push_back(change.attribute);
      for (const std::string& value : global.values(change.attribute)) {
        out.insert(out.end(), {"+" + change.attribute, value});
      }
    }
    const char* sign = change.action == AttributeChange::Action::set   ? ""
                       : change.action == AttributeChange::Action::add ? "+"
                                                                       : "-";
    out.insert(out.end(), {sign + change.attribute, change.value});
  }
  if (out.size() == empty_size) out.clear();
  return out;
}

std::vector<EntryResult> change_all(const Prov& prov, const Directory& directory,
                                    std::span<const AttributeChange> changes) {
  std::vector<EntryResult> out;
  out.reserve(directory.entries.size());
  for (const Entry& entry : directory.entries) {
    out.push_back({{}, entry.name, command_for(entry, directory.global, changes), {}});
  }
  const auto names = attribute_names(changes);
  std::vector<Planned> planned;
  std::vector<ProvCommand> commands;
  std::vector<ProvCommand> read_only;
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (out[i].command.empty()) continue;
    commands.push_back(out[i].command);
    planned.push_back({&directory.entries[i], &out[i], commands.size()});
    read_only.push_back(reading(out[i].name, names, Inherited::with));
    commands.push_back(read_only.back());
  }
  if (planned.empty()) return out;
  if (auto answers = prov.ask(commands)) {
    set_states(planned, answers->answers, directory.global, changes, answers->errors);
  } else if (const auto now = ask_all(prov, read_only)) {
    for (std::size_t i = 0; i < planned.size(); ++i) planned[i].answer_index = i;
    set_states(planned, *now, directory.global, changes, {ProvError{{}, answers.error().message}});
  } else {
    for (const Planned& each : planned) {
      each.result->state = EntryResult::State::unknown;
      each.result->why = answers.error().message;
    }
  }
  return out;
}

}  // namespace carbonio
