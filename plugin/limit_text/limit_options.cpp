// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/limit_text/limit_options.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "daemon/base/printable.hpp"
#include "plugin/limit/steps.hpp"
#include "plugin/limit_text/limit_line.hpp"
#include "plugin/limit_text/target_options.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

// Postfix sends it in a reply of at most 512 characters (RFC 5321), with a code and the address.
constexpr std::size_t kMaxMessage = 400;
constexpr std::size_t kMaxName = 200;

constexpr std::array<Option, 17> options_of(Direction direction) {
  const bool sending = direction == Direction::send;
  return {{
      {"everyone", "", "users of this server's own domains (the default)"},
      {"anyone", "",
       sending ? "any sender in the world, as in Zextras' article; with --domain, --user or "
                 "--group: mail from these senders wherever it comes from, even if it is forged"
               : "any recipient, as in Zextras' article"},
      {"domain", "DOMAIN", "the users of a domain", true},
      {"user", "ADDRESS", "a single user", true},
      {"login", "NAME", "an account, by the name it logs in with, whatever the sender address",
       true},
      {"group", "GROUP", "the members of a group in the table policy_groups", true},
      {"client", "NETWORK",
       "mail from a host or network, such as 192.0.2.1 or 10.0.0.0/8, regardless of the sender",
       true},
      {"from", "NETWORK",
       "count only mail from these hosts or networks; a condition for every target, whereas "
       "--client is a target itself",
       true},
      {"except", "WHO",
       sending ? "exempt these addresses, domains, groups (%NAME) or logins ('$NAME'); of limits "
                 "per account or login, an address is that account"
               : "exempt these addresses, domains or groups (%NAME)",
       true},
      {"per", "WHAT",
       sending
           ? "what has a counter of its own: user (the default), domain, client (IP address), "
             "account (login name, and of web mail, which has none, the sender; without a named "
             "target, whatever the sender address), login (login name only) or everyone"
           : "what has a counter of its own: domain (the default), user, client (IP address) "
             "or everyone",
       false,
       sending ? "user domain client account login everyone" : "user domain client everyone"},
      {"verdict", "WHAT",
       sending ? "what happens to mail over the limit: defer (the default), reject, hold, discard "
                 "or none (count only)"
               : "what happens to mail over the limit: reject (the default), defer, hold, discard "
                 "or none (count only)",
       false, "defer reject hold discard none"},
      {"then", "STEPS",
       "what follows when someone is refused for long: notify, hold:1h, block:1h, lock, or "
       "several, one after the other, such as notify,block:1h; without a duration hold and block "
       "last until 'unblock'"},
      {"message", "TEXT",
       sending
           ? "what the sender is told, instead of 'Too many messages sent: the limit is {limit} "
             "per {period}. Please try again in {retry_after}.'; {used}, {limit}, {period} and "
             "{retry_after} are replaced by the figures"
           : "what the sender is told, instead of 'Too many messages received: the limit is "
             "{limit} per {period}. Please try again in {retry_after}.'; {used}, {limit}, "
             "{period} and {retry_after} are replaced by the figures"},
      {"name", "NAME", "name of the policy in the database"},
      {"off", "", "create the limit switched off; 'on ID' switches it on"},
      {"dry-run", "", "show what would be done without changing anything"},
      {"print-sql", "", "print SQL statements for sqlite3 without changing anything"},
  }};
}
constexpr auto kSendOptions = options_of(Direction::send);
// Without those of accounts.
constexpr auto kReceiveOptions = [] {
  constexpr auto kAll = options_of(Direction::receive);
  std::array<Option, kAll.size() - 2> out;
  std::copy_if(kAll.begin(), kAll.end(), out.begin(), [](const Option& option) {
    return option.name != "login" && option.name != "then";
  });
  return out;
}();

constexpr std::array<std::string_view, 5> kVerdicts = {"defer", "reject", "hold", "discard",
                                                       "none"};

// The index of the word that `text` is.
tl::expected<std::size_t, Failure> choice(std::span<const std::string_view> words,
                                          std::string_view option, const std::string& text) {
  const auto found = std::find(words.begin(), words.end(), lower_cased(text));
  if (found != words.end()) return static_cast<std::size_t>(found - words.begin());
  return wrong_use(
      fmt::format("not a valid --{}: '{}'; choose one of {}", option, shown(text),
                  join_with_and(std::vector<std::string>(words.begin(), words.end()))));
}

Outcome check_text(const std::optional<std::string>& text, std::string_view option,
                   std::size_t max_size) {
  if (!text) return {};
  const auto refuse = [&](std::string_view why) {
    return wrong_use(fmt::format("--{} {}", option, why));
  };
  if (text->size() > max_size) return refuse(fmt::format("is longer than {} bytes", max_size));
  if (!policyd::is_valid_utf8(*text)) return refuse("is not valid UTF-8");
  if (!policyd::is_printable(*text)) return refuse("contains a line break or control character");
  return {};
}

// Placeholders in braces (see the daemon's quota_text): a misspelt one would be sent literally.
Outcome check_placeholders(const std::string& message) {
  constexpr std::array<std::string_view, 4> kKnown = {"{used}", "{limit}", "{period}",
                                                      "{retry_after}"};
  for (std::size_t at = message.find('{'); at != std::string::npos;
       at = message.find('{', at + 1)) {
    const std::size_t end = message.find_first_not_of("abcdefghijklmnopqrstuvwxyz_", at + 1);
    if (end == std::string::npos || message[end] != '}' || end == at + 1) continue;
    const std::string word = message.substr(at, end + 1 - at);
    if (std::find(kKnown.begin(), kKnown.end(), word) == kKnown.end()) {
      return wrong_use(fmt::format(
          "unknown placeholder '{}' in --message; known are {{used}}, {{limit}}, {{period}} and "
          "{{retry_after}}",
          shown(word)));
    }
  }
  return {};
}

tl::expected<std::vector<Rate>, Failure> rates_of(const std::vector<std::string>& limits,
                                                  Direction direction) {
  if (limits.empty()) {
    return wrong_use(
        fmt::format("the limit is missing; example: carbonio-limits {} 100/h", name_of(direction)));
  }
  auto rates = parse_limit(limit_of_words(limits));
  if (!rates) return wrong_use(rates.error().message);
  return std::move(*rates);
}

Outcome take_texts(const Arguments& arguments, WantedLimit& wanted) {
  wanted.message = arguments.value("message");
  if (wanted.message && !wanted.verdict) {
    return wrong_use("--message cannot be used with --verdict none, which refuses nothing");
  }
  if (auto checked = check_text(wanted.message, "message", kMaxMessage); !checked) return checked;
  if (wanted.message) {
    if (auto checked = check_placeholders(*wanted.message); !checked) return checked;
  }
  wanted.name = arguments.value("name");
  if (wanted.name == "") return wrong_use("--name is empty");
  if (wanted.name && is_reserved_name(*wanted.name)) {
    return wrong_use(
        "--name cannot begin with 'carbonio-limits ': policies of such names are blocks and "
        "signals");
  }
  return check_text(wanted.name, "name", kMaxName);
}

// --then: who it would stop must be one account or client.
Outcome take_steps(const Arguments& arguments, Per per, WantedLimit& wanted) {
  const auto text = arguments.value("then");
  if (!text) return {};
  const auto steps = parse_steps(*text);
  if (!steps) return wrong_use("--then: " + steps.error().message);
  if (!wanted.verdict) return wrong_use("--then needs a verdict that refuses: none lets mail pass");
  const bool stops = std::any_of(steps->begin(), steps->end(),
                                 [](const Step& step) { return step.kind != Step::Kind::notify; });
  if (stops && (per == Per::domain || per == Per::everyone)) {
    return wrong_use(fmt::format(
        "--then {} would stop all whom a counter --per {} counts; only notify can follow there",
        shown(*text), name_of(per)));
  }
  if (stops && per == Per::user) {
    return wrong_use(fmt::format(
        "--then {} needs --per account: with --per user others can use up a sender's counter with "
        "the address alone, so only notify can follow there",
        shown(*text)));
  }
  wanted.then = steps_text(*steps);
  return {};
}

}  // namespace

std::span<const Option> limit_options(Direction direction) {
  if (direction == Direction::send) return kSendOptions;
  return kReceiveOptions;
}

tl::expected<std::vector<WantedLimit>, Failure> wanted_limits(Direction direction,
                                                              const Arguments& arguments) {
  auto named = named_in(arguments);
  if (!named) return tl::unexpected{named.error()};
  WantedLimit wanted;
  std::optional<Per> per;
  if (const auto text = arguments.value("per")) {
    const auto index = choice(kPerNames, "per", *text);
    if (!index) return tl::unexpected{index.error()};
    per = static_cast<Per>(*index);
  }
  if (auto checked =
          take_whole(direction, per.value_or(default_per(direction)), arguments, named->targets);
      !checked) {
    return tl::unexpected{checked.error()};
  }
  std::vector<std::string> limits = arguments.words();
  limits.insert(limits.end(), named->limits.begin(), named->limits.end());
  if (auto checked = take_from(direction, arguments, named->targets, limits); !checked) {
    return tl::unexpected{checked.error()};
  }
  wanted.direction = direction;
  wanted.enabled = !arguments.has("off");
  auto except = except_of(direction, arguments, limits);
  if (!except) return tl::unexpected{except.error()};
  wanted.except = std::move(*except);
  auto rates = rates_of(limits, direction);
  if (!rates) return tl::unexpected{rates.error()};
  wanted.rates = std::move(*rates);

  if (per && !track_of(direction, *per)) {
    return wrong_use(fmt::format(
        "--per {} counts what accounts send, so it can only be used with 'send'", name_of(*per)));
  }
  if (per && is_account(*per) && named->targets.front().from_anywhere) {
    return wrong_use(
        "--per account and --per login count only mail of this server's users, so --anyone cannot "
        "be combined with named targets");
  }
  wanted.verdict = default_verdict(direction);
  if (const auto text = arguments.value("verdict")) {
    const auto index = choice(kVerdicts, "verdict", *text);
    if (!index) return tl::unexpected{index.error()};
    wanted.verdict = policyd::parse_action(kVerdicts.at(*index));  // nullopt for none
  }
  if (auto checked = take_texts(arguments, wanted); !checked)
    return tl::unexpected{checked.error()};
  if (wanted.name && named->targets.size() > 1) {
    return wrong_use(
        "--name can only be used with one target; each target gets a limit of its own");
  }
  std::vector<WantedLimit> out;
  for (const Target& target : named->targets) {
    out.push_back(wanted);
    out.back().target = target;
    out.back().per = per.value_or(default_per(direction, target));
    if (auto taken = take_steps(arguments, out.back().per, out.back()); !taken) {
      return tl::unexpected{taken.error()};
    }
  }
  return out;
}

}  // namespace limits
