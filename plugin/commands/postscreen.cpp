// SPDX-License-Identifier: AGPL-3.0-only
// `postscreen`: Postfix's tests of unknown clients before they may talk to smtpd. The vendor
// recommends them against floods, rather than limits on received mail.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <functional>

#include "daemon/base/ascii.hpp"
#include "plugin/commands/commands.hpp"
#include "plugin/host/server_switch.hpp"
#include "plugin/postfix/postfix_asks.hpp"
#include "plugin/postfix/postscreen.hpp"
#include "plugin/postfix/reload.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

using carbonio::AttributeChange;
using carbonio::Entry;

constexpr std::array<Option, 7> kPostscreenOptions = {{
    kServerOption,
    kAllMtaOption,
    {"global", "", "the global configuration, for servers without values of their own"},
    {"dnsbl", "SITE", "with enable: block lists, such as zen.spamhaus.org or zen.spamhaus.org*2",
     true},
    {"dry-run", "", "print the commands without running them"},
    kProvTimeoutOption,
    kRewriteTimeoutOption,
}};

struct Attribute {
  const char* name;
  const char* default_value;  // in force if neither the server nor the global configuration has one
};
constexpr Attribute kGreet = {"zimbraMtaPostscreenGreetAction", "ignore"};
constexpr Attribute kListAction = {"zimbraMtaPostscreenDnsblAction", "ignore"};
constexpr Attribute kSites = {"zimbraMtaPostscreenDnsblSites", ""};
constexpr std::array<Attribute, 8> kAll = {{
    kGreet,
    kListAction,
    kSites,
    {"zimbraMtaPostscreenDnsblThreshold", "1"},
    {"zimbraMtaPostscreenBlacklistAction", "ignore"},
    {"zimbraMtaPostscreenPipeliningEnable", "no"},
    {"zimbraMtaPostscreenBareNewlineEnable", "no"},
    {"zimbraMtaPostscreenNonSmtpCommandEnable", "no"},
}};

std::vector<std::string> attribute_names() {
  std::vector<std::string> out;
  out.reserve(kAll.size());
  for (const Attribute& attribute : kAll) out.emplace_back(attribute.name);
  return out;
}

// See postconf(5): a name, optionally "=" with a pattern of answers, optionally "*" with a weight.
bool is_site(std::string_view text) {
  constexpr std::size_t kMaxSite = 255;
  constexpr std::string_view kOthers = ".-_=*[];";
  const auto is_letter = [](char c) { return policyd::is_letter(c) || policyd::is_digit(c); };
  return !text.empty() && text.size() <= kMaxSite && is_letter(text.front()) &&
         text.find('.') != std::string_view::npos &&
         std::all_of(text.begin(), text.end(), [&](char c) {
           return is_letter(c) || kOthers.find(c) != std::string_view::npos;
         });
}

std::vector<AttributeChange> changes_for(bool enable, const std::vector<std::string>& sites) {
  if (!enable) {
    return {{AttributeChange::Action::set, kGreet.name, "ignore", kGreet.default_value},
            {AttributeChange::Action::set, kListAction.name, "ignore", kListAction.default_value}};
  }
  std::vector<AttributeChange> out = {
      {AttributeChange::Action::set, kGreet.name, "enforce", kGreet.default_value}};
  for (const std::string& site : sites) {
    out.push_back({AttributeChange::Action::add, kSites.name, site, {}});
  }
  if (!sites.empty()) {
    out.push_back(
        {AttributeChange::Action::set, kListAction.name, "enforce", kListAction.default_value});
  }
  return out;
}

struct Value {
  std::vector<std::string> all;
  const char* from;
};

Value value_of(const carbonio::Directory& directory, const Entry& entry,
               const Attribute& attribute) {
  auto values = entry.attributes.values(attribute.name);
  if (!values.empty()) return {values, entry.name.empty() ? "global" : "server"};
  values = directory.global.values(attribute.name);
  if (!values.empty()) return {values, "global"};
  return {{attribute.default_value}, "default"};
}

// One sentence: what it does with robots that talk before the greeting, and with clients on block
// lists. (Few use the tests after the greeting and the access list.)
std::string verdict(const carbonio::Directory& directory, const Entry& entry) {
  const auto value = [&](const Attribute& attribute) {
    return value_of(directory, entry, attribute).all;
  };
  const auto acts = [&](const Attribute& attribute) {
    const std::string action = lower_cased(value(attribute).front());
    return action == "enforce" || action == "drop";
  };
  std::size_t sites = 0;
  for (const std::string& site : value(kSites)) sites += site.empty() ? 0 : 1;
  const bool greets = acts(kGreet);
  const bool lists = acts(kListAction) && sites > 0;
  const std::string listed =
      fmt::format("clients on {} block {}", sites, sites == 1 ? "list" : "lists");
  if (greets && lists) return "Blocks robots that do not wait for the greeting, and " + listed;
  if (greets) return "Blocks robots that do not wait for the greeting; block lists are not used";
  if (lists) return "Blocks " + listed + ", but no robots that are on none";
  return "Blocks nothing: the tests have no consequences";
}

// Whether both have the same words, in any order.
bool same_words(const std::vector<std::string>& wanted, std::string_view has) {
  std::vector<std::string> left;
  for (const std::string& value : wanted) {
    for (std::string& word : restriction_words(lower_cased(value))) left.push_back(std::move(word));
  }
  std::vector<std::string> right = restriction_words(lower_cased(has));
  std::sort(left.begin(), left.end());
  std::sort(right.begin(), right.end());
  return left == right;
}

// Where this host's Postfix does not have what the attributes say: "postscreen_greet_action is
// ignore, not enforce". Empty if it has, or if its postconf does not answer.
std::vector<std::string> not_followed(const carbonio::Directory& directory, const Entry& here,
                                      const std::filesystem::path& zextras_home) {
  std::vector<std::string> out;
  const auto parameters = read_postscreen(zextras_home);
  if (!parameters) return out;
  for (const Attribute& attribute : kAll) {
    const auto found = parameters->find(attribute.name);
    if (found == parameters->end()) continue;
    const auto wanted = value_of(directory, here, attribute).all;
    if (same_words(wanted, found->second.value)) continue;
    std::string text;
    for (const std::string& each : wanted) text += (text.empty() ? "" : " ") + each;
    const auto shown_value = [](const std::string& value) {
      return value.empty() ? std::string{"empty"} : shown(value);
    };
    out.push_back(fmt::format("{} is {}, not {}", found->second.name,
                              shown_value(found->second.value), shown_value(text)));
  }
  return out;
}

void print_status(const carbonio::Directory& directory, const Entry* here, const ServerTask& task,
                  const std::filesystem::path& zextras_home, Output& output) {
  for (const Entry& entry : directory.entries) {
    if (&entry != &directory.entries.front()) output.line("");
    output.line({shown_name(entry.name), Colour::bold}, {":"});
    Table table{{{"ATTRIBUTE"}, {"VALUE", false, Shrinks::last}, {"FROM"}}};
    for (const Attribute& attribute : kAll) {
      const Value value = value_of(directory, entry, attribute);
      std::string text;
      for (const std::string& each : value.all) text += (text.empty() ? "" : " ") + escaped(each);
      table.add({{attribute.name}, {text.empty() ? "-" : text}, {value.from, Colour::dim}});
    }
    output.print(table);
    output.line(verdict(directory, entry) + ".");
    if (&entry != here) continue;
    if (const auto differs = not_followed(directory, entry, zextras_home); !differs.empty()) {
      output.note(
          fmt::format("Postfix here does not follow yet: {}. To have configd write main.cf: {}",
                      join_with_and(differs), rewrite_as_typed(task.configd, "mta")));
    }
  }
}

Outcome print_switching(const carbonio::Directory& directory,
                        const std::vector<AttributeChange>& changes, bool affects_this_host,
                        const carbonio::Configd& configd, Output& output) {
  std::vector<std::string> commands = commands_for(directory, changes);
  if (!commands.empty() && affects_this_host) {
    commands.push_back(rewrite_as_typed(configd, "mta"));
  }
  print_dry_run(commands, output);
  return {};
}

Outcome switch_postscreen(const ThisCarbonio& carbonio, const carbonio::Directory& directory,
                          const std::vector<AttributeChange>& changes, bool affects_this_host,
                          const carbonio::Configd& configd,
                          const std::filesystem::path& zextras_home,
                          const std::function<bool()>& follows, Output& output) {
  StepReport steps{output};
  auto changed = report_changes(carbonio::change_all(carbonio.prov, directory, changes), steps);
  if (!changed) return changed;
  if (!steps.any_done()) {
    output.line("Nothing to change.");
    return {};
  }
  if (affects_this_host) {
    const carbonio::Rewritten rewritten = carbonio::rewrite(configd, "mta", follows);
    if (rewritten.not_running) {
      steps.not_checked(fmt::format(
          "configd is not running here (port {}); Postfix follows within 5 minutes of its start",
          configd.port));
    } else if (!rewritten.trouble.empty()) {
      return failed(
          fmt::format("changed the attributes, but Postfix may not follow: {}", rewritten.trouble));
    } else {
      steps.done("asked configd to rewrite Postfix's configuration");
      if (auto reloaded = reload_postfix(zextras_home); !reloaded) {
        return failed(fmt::format("changed the attributes, but {}", reloaded.error().message));
      }
    }
  }
  output.note("other hosts follow through their own configd.");
  return {};
}

Outcome wrong_words(const std::string& action, const std::vector<std::string>& sites) {
  if (action != "status" && action != "enable" && action != "disable") {
    return wrong_use(
        "use 'status', 'enable' or 'disable'; see 'carbonio-limits postscreen --help'");
  }
  if (!sites.empty() && action != "enable") return wrong_use("--dnsbl is only for 'enable'");
  for (const std::string& site : sites) {
    if (!is_site(site)) return wrong_use(fmt::format("not a valid block list: '{}'", shown(site)));
  }
  return {};
}

Outcome run_postscreen(const Arguments& arguments, Context& context) {
  const std::string action = arguments.words().empty() ? "" : arguments.words().front();
  const auto sites = arguments.values("dnsbl");
  if (auto right = wrong_words(action, sites); !right) return right;
  const bool global = arguments.has("global");
  if (global && (arguments.has(std::string{kServerOption.name}) ||
                 arguments.has(std::string{kAllMtaOption.name}))) {
    return wrong_use("use only one of --global, --server and --all-mta");
  }
  auto task = server_task(arguments, context);
  if (!task) return tl::unexpected{task.error()};
  if (global) task->selection = {{}, false, true};
  const auto answers = ask_about(*task, attribute_names(), carbonio::Inherited::without);
  if (!answers) return tl::unexpected{answers.error()};
  if (action == "status") {
    print_status(answers->directory, entry_of(answers->directory, task->carbonio.server), *task,
                 context.zextras_home, context.output);
    return {};
  }
  const auto changes = changes_for(action == "enable", sites);
  const bool here = global || entry_of(answers->directory, task->carbonio.server) != nullptr;
  if (arguments.has("dry-run")) {
    return print_switching(answers->directory, changes, here, task->configd, context.output);
  }
  // A Postfix that follows has, for each attribute that is set here, what it is set to.
  const auto follows = [&] {
    const auto parameters = read_postscreen(context.zextras_home);
    if (!parameters) return true;
    return std::all_of(changes.begin(), changes.end(), [&](const AttributeChange& change) {
      const auto found = parameters->find(change.attribute);
      if (global || found == parameters->end()) return true;  // the server may have its own value
      const auto words = restriction_words(lower_cased(found->second.value));
      return std::find(words.begin(), words.end(), lower_cased(change.value)) != words.end();
    });
  };
  return switch_postscreen(task->carbonio, answers->directory, changes, here, task->configd,
                           context.zextras_home, follows, context.output);
}

}  // namespace

const Command kPostscreen = {
    "postscreen",
    "status | enable | disable [--server HOST... | --all-mta | --global] [--dnsbl SITE...] "
    "[--dry-run] [--prov-timeout SECONDS] [--rewrite-timeout SECONDS]",
    "Show or switch Postscreen, which keeps out floods of unknown clients",
    "Postscreen tests clients from outside before they reach smtpd, and turns away those that "
    "behave like robots. Limits count only mail; against floods Carbonio recommends Postscreen.\n"
    "status shows the attributes of this host, or of the named servers; whether each value is the "
    "server's own, the global one or the default; and what Postscreen blocks with them.\n"
    "enable enforces the greeting test (zimbraMtaPostscreenGreetAction), and with --dnsbl the "
    "named block lists in addition to existing ones. disable sets both back to ignore; the lists "
    "are kept.",
    "postscreen status\n"
    "postscreen enable --dnsbl zen.spamhaus.org bl.spamcop.net\n"
    "postscreen disable --global --dry-run",
    kPostscreenOptions,
    1,
    run_postscreen,
    Takes::other,
    "status enable disable"};

}  // namespace limits
