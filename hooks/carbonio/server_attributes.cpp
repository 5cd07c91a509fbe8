// SPDX-License-Identifier: AGPL-3.0-only
#include "hooks/carbonio/server_attributes.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <optional>

namespace carbonio {
namespace {

using policyd::failure;
using policyd::Result;

std::vector<std::string> attribute_names(std::span<const Wish> wishes) {
  std::vector<std::string> out;
  for (const Wish& wish : wishes) {
    if (std::find(out.begin(), out.end(), wish.attribute) == out.end()) {
      out.push_back(wish.attribute);
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

// What holds: the server's own values, else the global ones, else the default.
std::vector<std::string> values_in_force(const Entry& entry, const Attributes& global,
                                         const Wish& wish) {
  auto values = entry.attributes.values(wish.attribute);
  if (values.empty() && !entry.name.empty()) values = global.values(wish.attribute);
  if (values.empty() && !wish.otherwise.empty()) values.push_back(wish.otherwise);
  return values;
}

bool holds(const std::vector<std::string>& values, const std::string& value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

// One entry that is to be changed, with the place of what is read back among the answers.
struct Planned {
  const Entry* entry;
  Changed* changed;
  std::size_t answer = 0;
};

Result<Entry> entry_in(const std::string& answer, const std::string& name) {
  if (name.empty()) return Entry{{}, attributes_in(answer)};
  auto server = server_in(answer);
  if (!server) return failure(fmt::format("carbonio prov: gs {} did not show a server", name));
  return Entry{std::move(server->name), std::move(server->attributes)};
}

// What became of each, as read back. `errors` are those of the call, without saying whose.
void judge(std::vector<Planned>& all, const std::vector<std::string>& answers,
           const Attributes& global, std::span<const Wish> wishes,
           const std::vector<ProvError>& errors) {
  std::vector<Changed*> failed;
  for (Planned& planned : all) {
    const auto now = entry_in(answers[planned.answer], planned.entry->name);
    const bool done = now && std::all_of(wishes.begin(), wishes.end(), [&](const Wish& wish) {
                        return is_fulfilled(*now, global, wish);
                      });
    planned.changed->state = done ? Changed::State::done : Changed::State::failed;
    if (!done) failed.push_back(planned.changed);
  }
  const bool one_each = errors.size() == failed.size();
  for (std::size_t i = 0; i < failed.size(); ++i) {
    if (errors.empty()) {
      failed[i]->why = "carbonio prov said nothing against it, but it is not so";
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
    // With all attributes: only so one call is enough.
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
    for (ServerAnswer& server : servers_in(answers[next++])) {
      out.entries.push_back({std::move(server.name), std::move(server.attributes)});
    }
    if (out.entries.empty()) return failure("carbonio prov: gas named no MTA host");
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

bool is_fulfilled(const Entry& entry, const Attributes& global, const Wish& wish) {
  const auto values = values_in_force(entry, global, wish);
  switch (wish.act) {
    case Wish::Act::set:
      return values == std::vector<std::string>{wish.value};
    case Wish::Act::add:
      return holds(values, wish.value);
    case Wish::Act::remove:
      return !holds(values, wish.value);
  }
  return false;
}

ProvCommand changing(const Entry& entry, const Attributes& global, std::span<const Wish> wishes) {
  ProvCommand out = entry.name.empty() ? ProvCommand{"mcf"} : ProvCommand{"ms", entry.name};
  const std::size_t nothing = out.size();
  std::vector<std::string> made_own;
  for (const Wish& wish : wishes) {
    if (is_fulfilled(entry, global, wish)) continue;
    const bool inherits = !entry.name.empty() && entry.attributes.values(wish.attribute).empty();
    if (wish.act == Wish::Act::add && inherits && !holds(made_own, wish.attribute)) {
      made_own.push_back(wish.attribute);
      for (const std::string& value : global.values(wish.attribute)) {
        out.insert(out.end(), {"+" + wish.attribute, value});
      }
    }
    const char* sign = wish.act == Wish::Act::set ? "" : wish.act == Wish::Act::add ? "+" : "-";
    out.insert(out.end(), {sign + wish.attribute, wish.value});
  }
  if (out.size() == nothing) out.clear();
  return out;
}

std::vector<Changed> change_all(const Prov& prov, const Directory& directory,
                                std::span<const Wish> wishes) {
  std::vector<Changed> out;
  out.reserve(directory.entries.size());
  for (const Entry& entry : directory.entries) {
    out.push_back({{}, entry.name, changing(entry, directory.global, wishes), {}});
  }
  const auto names = attribute_names(wishes);
  std::vector<Planned> planned;
  std::vector<ProvCommand> commands;
  std::vector<ProvCommand> only_reading;
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (out[i].command.empty()) continue;
    commands.push_back(out[i].command);
    planned.push_back({&directory.entries[i], &out[i], commands.size()});
    only_reading.push_back(reading(out[i].name, names, Inherited::with));
    commands.push_back(only_reading.back());
  }
  if (planned.empty()) return out;
  if (auto answers = prov.ask(commands)) {
    judge(planned, answers->answers, directory.global, wishes, answers->errors);
  } else if (const auto now = ask_all(prov, only_reading)) {
    for (std::size_t i = 0; i < planned.size(); ++i) planned[i].answer = i;
    judge(planned, *now, directory.global, wishes, {ProvError{{}, answers.error().message}});
  } else {
    for (const Planned& each : planned) {
      each.changed->state = Changed::State::unknown;
      each.changed->why = answers.error().message;
    }
  }
  return out;
}

}  // namespace carbonio
