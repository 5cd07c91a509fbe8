// SPDX-License-Identifier: AGPL-3.0-only
// `postscreen`: Postfix's tests of strangers before they may speak to it, which the vendor
// recommends against floods instead of limits on what is received.
#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "plugin/commands/commands.hpp"
#include "plugin/host/server_switch.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

using carbonio::Entry;
using carbonio::Wish;

constexpr std::array<Option, 7> kOptions = {{
    kServerOption,
    kAllMtaOption,
    {"global", "", "the global configuration, which servers without values of their own follow"},
    {"dnsbl", "SITE", "with enable: block lists, as zen.spamhaus.org or zen.spamhaus.org*2", true},
    {"dry-run", "", "print the commands that would do it, and change nothing"},
    kProvTimeoutOption,
    kRewriteTimeoutOption,
}};

struct Attribute {
  const char* name;
  const char* standard;  // what holds where nobody has a value
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

// As postconf(5) has them: a name, perhaps "=" with a pattern of answers, perhaps "*" with a
// weight.
bool is_site(std::string_view text) {
  constexpr std::size_t kLongest = 255;
  constexpr std::string_view kOthers = ".-_=*[];";
  const auto is_letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  return !text.empty() && text.size() <= kLongest && is_letter(text.front()) &&
         text.find('.') != std::string_view::npos &&
         std::all_of(text.begin(), text.end(), [&](char c) {
           return is_letter(c) || kOthers.find(c) != std::string_view::npos;
         });
}

std::vector<Wish> wishes_of(bool enable, const std::vector<std::string>& sites) {
  if (!enable) {
    return {{Wish::Act::set, kGreet.name, "ignore", kGreet.standard},
            {Wish::Act::set, kListAction.name, "ignore", kListAction.standard}};
  }
  std::vector<Wish> out = {{Wish::Act::set, kGreet.name, "enforce", kGreet.standard}};
  for (const std::string& site : sites) {
    out.push_back({Wish::Act::add, kSites.name, site, {}});
  }
  if (!sites.empty()) {
    out.push_back({Wish::Act::set, kListAction.name, "enforce", kListAction.standard});
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
  return {{attribute.standard}, "default"};
}

// What it does with a robot that speaks before it is greeted, or stands on a block list: one
// sentence. (The tests behind the greeting and the access list are for the few.)
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
      fmt::format("clients that stand on {} block {}", sites, sites == 1 ? "list" : "lists");
  if (greets && lists) return "Robots that do not wait for the greeting are stopped, and " + listed;
  if (greets)
    return "Robots that do not wait for the greeting are stopped; block lists are not asked";
  if (lists) return "Stopped are " + listed + ", but no robots that are on none";
  return "No robot is stopped: the tests have no consequences";
}

void print_status(const carbonio::Directory& directory, Output& output) {
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
  }
}

Outcome dry_run(const carbonio::Directory& directory, const std::vector<Wish>& wishes,
                bool concerns_this_host, const Configd& configd, Output& output) {
  std::vector<std::string> commands;
  for (const Entry& entry : directory.entries) {
    const auto command = carbonio::changing(entry, directory.global, wishes);
    if (!command.empty()) commands.push_back(carbonio::as_typed(command));
  }
  if (!commands.empty() && concerns_this_host) {
    commands.push_back(rewrite_as_typed(configd, "mta"));
  }
  print_dry_run(commands, output);
  return {};
}

Outcome change(const ThisCarbonio& carbonio, const carbonio::Directory& directory,
               const std::vector<Wish>& wishes, bool concerns_this_host, const Configd& configd,
               Output& output) {
  StepReport steps{output};
  auto changed = say_changed(carbonio::change_all(carbonio.prov, directory, wishes), steps);
  if (!changed) return changed;
  if (!steps.any_done()) {
    output.line("Nothing to change.");
    return {};
  }
  if (concerns_this_host) {
    const Rewritten rewritten = rewrite(configd, "mta", [] { return true; });
    if (rewritten.nobody_there) {
      steps.not_checked(fmt::format(
          "configd does not run here (port {}): Postfix follows within 60 s of its start",
          configd.port));
    } else if (!rewritten.trouble.empty()) {
      return failed(fmt::format("the attributes are changed, but Postfix may not follow: {}",
                                rewritten.trouble));
    } else {
      steps.done("configd was asked to rewrite Postfix's configuration");
    }
  }
  output.note("on other hosts their own configd does so.");
  return {};
}

Outcome wrong_words(const std::string& action, const std::vector<std::string>& sites) {
  if (action != "status" && action != "enable" && action != "disable") {
    return wrong_use(
        "give 'status', 'enable' or 'disable'; see 'carbonio-limits postscreen --help'");
  }
  if (!sites.empty() && action != "enable") return wrong_use("--dnsbl belongs to 'enable'");
  for (const std::string& site : sites) {
    if (!is_site(site)) return wrong_use(fmt::format("'{}' is no block list", shown(site)));
  }
  return {};
}

Outcome run(const Arguments& arguments, Context& context) {
  const std::string action = arguments.words().empty() ? "" : arguments.words().front();
  const auto sites = arguments.values("dnsbl");
  if (auto right = wrong_words(action, sites); !right) return right;
  const bool global = arguments.has("global");
  if (global && (arguments.has(std::string{kServerOption.name}) ||
                 arguments.has(std::string{kAllMtaOption.name}))) {
    return wrong_use("give --global, --server or --all-mta, only one of them");
  }
  const auto carbonio = find_this_carbonio(context.zextras_home, arguments);
  if (!carbonio) return tl::unexpected{carbonio.error()};
  const auto configd = configd_of(*carbonio, arguments);
  if (!configd) return tl::unexpected{configd.error()};
  auto selection = selected_servers(arguments, carbonio->server);
  if (!selection) return tl::unexpected{selection.error()};
  if (global) *selection = {{}, false, true};
  const auto asked =
      ask_about(*carbonio, *selection, attribute_names(), carbonio::Inherited::without);
  if (!asked) return tl::unexpected{asked.error()};
  if (action == "status") {
    print_status(asked->directory, context.output);
    return {};
  }
  const auto wishes = wishes_of(action == "enable", sites);
  const bool here = global || entry_of(asked->directory, carbonio->server) != nullptr;
  if (arguments.has("dry-run")) {
    return dry_run(asked->directory, wishes, here, *configd, context.output);
  }
  return change(*carbonio, asked->directory, wishes, here, *configd, context.output);
}

}  // namespace

const Command kPostscreen = {
    "postscreen",
    "status | enable | disable [--server HOST... | --all-mta | --global] [--dnsbl SITE...] "
    "[--dry-run] [--prov-timeout SECONDS] [--rewrite-timeout SECONDS]",
    "Show or switch Postscreen, which keeps floods of strangers out",
    "Postscreen looks at who connects from outside before Postfix does, and turns away what "
    "behaves like a robot. Limits count only mail; against floods Carbonio recommends Postscreen.\n"
    "status shows the attributes of this host, or of the servers named, whether each value is "
    "the server's own, the global one or the default, and says whom Postscreen stops by them.\n"
    "enable has the greeting test enforced (zimbraMtaPostscreenGreetAction), and with --dnsbl the "
    "block lists named, beside those that are there. disable sets both back to ignore; the lists "
    "stay.",
    "postscreen status\n"
    "postscreen enable --dnsbl zen.spamhaus.org bl.spamcop.net\n"
    "postscreen disable --global --dry-run",
    kOptions,
    1,
    run,
    Takes::other,
    "status enable disable"};

}  // namespace limits
