// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/limit_text/limit_options.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

// Postfix puts it into an answer of 512 characters (RFC 5321), with a code and the address.
constexpr std::size_t kMaxMessage = 400;
constexpr std::size_t kMaxName = 200;

template <typename T>
struct Word {
  std::string_view word;
  T value;
};

constexpr std::array<Word<Per>, 5> kPers = {{{"user", Per::user},
                                             {"domain", Per::domain},
                                             {"client", Per::client},
                                             {"account", Per::account},
                                             {"everyone", Per::everyone}}};

constexpr std::array<Word<std::optional<policyd::Action>>, 5> kVerdicts = {
    {{"defer", policyd::Action::defer},
     {"reject", policyd::Action::reject},
     {"hold", policyd::Action::hold},
     {"discard", policyd::Action::discard},
     {"none", std::nullopt}}};

template <typename Words>
auto choice(const Words& words, std::string_view option, const std::string& text)
    -> tl::expected<decltype(words.front().value), Failure> {
  std::vector<std::string> known;
  for (const auto& word : words) {
    if (word.word == lower_cased(text)) return word.value;
    known.emplace_back(word.word);
  }
  return wrong_use(
      fmt::format("'{}' is no --{}; choose one of {}", shown(text), option, join_with_and(known)));
}

// `--user a@example.org 100/h`: what stands behind the values of an option is one of them for the
// parser, but a '/' without '@' can only be the limit.
std::vector<std::string> take_limits(std::vector<std::string>& values) {
  std::vector<std::string> taken;
  const auto is_limit = [](const std::string& value) {
    const std::size_t slash = value.find('/');
    // Behind the '/' of a network stand digits only.
    return slash != std::string::npos && value.find('@') == std::string::npos &&
           value.find_first_not_of("0123456789", slash + 1) != std::string::npos;
  };
  std::copy_if(values.begin(), values.end(), std::back_inserter(taken), is_limit);
  values.erase(std::remove_if(values.begin(), values.end(), is_limit), values.end());
  return taken;
}

using Parse = Result<Target> (*)(std::string_view);

// The options that name whom, each with several values.
struct Naming {
  std::string_view option;
  std::string_view what;
  Parse parse;
};
constexpr std::array<Naming, 4> kNamings = {{{"domain", "domain", &parse_domain},
                                             {"user", "address", &parse_user},
                                             {"group", "group", &parse_group},
                                             {"client", "network", &parse_client}}};

// What is named, and the limits among it.
struct Named {
  std::vector<Target> targets;
  std::vector<std::string> limits;
};

void add(std::vector<Target>& targets, const Target& target) {
  if (std::find(targets.begin(), targets.end(), target) == targets.end()) {
    targets.push_back(target);
  }
}

tl::expected<Named, Failure> named_in(const Arguments& arguments) {
  Named out;
  for (const Naming& naming : kNamings) {
    const std::string option{naming.option};
    std::vector<std::string> values = arguments.values(option);
    for (std::string& limit : take_limits(values)) out.limits.push_back(std::move(limit));
    if (arguments.has(option) && values.empty()) {
      return wrong_use(fmt::format("--{} names no {}", option, naming.what));
    }
    for (const std::string& text : values) {
      auto target = naming.parse(text);
      if (!target) return wrong_use(target.error().message);
      add(out.targets, *target);
    }
  }
  return out;
}

// --everyone and --anyone. The latter beside senders that are named: their mail from anywhere.
// Without any of them it is everyone; but who logs in is a user of this server, whatever sender he
// names.
Outcome take_whole(Direction direction, Per per, const Arguments& arguments,
                   std::vector<Target>& targets) {
  const bool everyone = arguments.has("everyone");
  const bool anyone = arguments.has("anyone");
  const bool named = !targets.empty();
  const bool senders = direction == Direction::send && !arguments.has("client");
  if ((everyone && (anyone || named)) || (anyone && named && !senders)) {
    return wrong_use(
        "--everyone, --anyone and named ones (domains, users, groups, clients) exclude each other "
        "(but 'send' takes --anyone with domains, users and groups); give one command for each");
  }
  for (Target& target : targets) target.from_anywhere = anyone;
  if (anyone && !named) targets.push_back({Who::anyone, {}});
  if (targets.empty()) {
    targets.push_back({per == Per::account && !everyone ? Who::anyone : Who::everyone, {}});
  }
  return {};
}

// --except: addresses, domains and groups (%NAME). Also takes the limits among them.
tl::expected<std::vector<Target>, Failure> except_of(const Arguments& arguments,
                                                     std::vector<std::string>& limits) {
  std::vector<std::string> values = arguments.values("except");
  for (std::string& limit : take_limits(values)) limits.push_back(std::move(limit));
  if (arguments.has("except") && values.empty()) return wrong_use("--except names nobody");
  std::vector<Target> out;
  for (const std::string& text : values) {
    const bool user = text.find('@', 1) != std::string::npos;
    auto target = text.substr(0, 1) == "%" ? parse_group(text)
                  : user                   ? parse_user(text)
                                           : parse_domain(text);
    if (!target) return wrong_use(target.error().message);
    add(out, *target);
  }
  return out;
}

Outcome check_text(const std::optional<std::string>& text, std::string_view option,
                   std::size_t most) {
  if (!text) return {};
  const auto refuse = [&](std::string_view why) {
    return wrong_use(fmt::format("--{} {}", option, why));
  };
  if (text->size() > most) return refuse(fmt::format("is longer than {} bytes", most));
  if (!is_valid_utf8(*text)) return refuse("is not UTF-8");
  if (has_control_characters(*text)) return refuse("has a line break or control character in it");
  return {};
}

// Words in braces that stand for figures (daemon, quota_text): a misspelt one would be sent as it
// is.
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
          "'{}' in --message stands for nothing; known are {{used}}, {{limit}}, {{period}} and "
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
        fmt::format("the limit is missing; as in 'carbonio-limits {} 100/h'", name_of(direction)));
  }
  std::string all;
  for (const std::string& limit : limits) all += (all.empty() ? "" : ",") + limit;
  auto rates = parse_limit(all);
  if (!rates) return wrong_use(rates.error().message);
  return std::move(*rates);
}

Outcome take_texts(const Arguments& arguments, WantedLimit& wanted) {
  wanted.message = arguments.value("message");
  if (wanted.message && !wanted.verdict) {
    return wrong_use("--message has no use with --verdict none, which refuses nothing");
  }
  if (auto fine = check_text(wanted.message, "message", kMaxMessage); !fine) return fine;
  if (wanted.message) {
    if (auto fine = check_placeholders(*wanted.message); !fine) return fine;
  }
  wanted.name = arguments.value("name");
  if (wanted.name == "") return wrong_use("--name is empty");
  return check_text(wanted.name, "name", kMaxName);
}

}  // namespace

tl::expected<std::vector<WantedLimit>, Failure> wanted_limits(Direction direction,
                                                              const Arguments& arguments) {
  auto named = named_in(arguments);
  if (!named) return tl::unexpected{named.error()};
  const bool sending = direction == Direction::send;
  const auto per =
      choice(kPers, "per", arguments.value("per").value_or(sending ? "user" : "domain"));
  if (!per) return tl::unexpected{per.error()};
  if (auto fine = take_whole(direction, *per, arguments, named->targets); !fine) {
    return tl::unexpected{fine.error()};
  }
  std::vector<std::string> limits = arguments.words();
  limits.insert(limits.end(), named->limits.begin(), named->limits.end());
  WantedLimit wanted;
  wanted.direction = direction;
  wanted.enabled = !arguments.has("off");
  auto except = except_of(arguments, limits);
  if (!except) return tl::unexpected{except.error()};
  wanted.except = std::move(*except);
  auto rates = rates_of(limits, direction);
  if (!rates) return tl::unexpected{rates.error()};
  wanted.rates = std::move(*rates);

  wanted.per = *per;
  if (!track_of(direction, wanted.per)) {
    return wrong_use("--per account counts what accounts send, so it goes with 'send' only");
  }
  if (wanted.per == Per::account && named->targets.front().from_anywhere) {
    return wrong_use(
        "--per account counts authenticated mail only, so --anyone has no use beside those named");
  }
  const auto verdict = choice(kVerdicts, "verdict",
                              arguments.value("verdict").value_or(sending ? "defer" : "reject"));
  if (!verdict) return tl::unexpected{verdict.error()};
  wanted.verdict = *verdict;
  if (auto fine = take_texts(arguments, wanted); !fine) return tl::unexpected{fine.error()};
  if (wanted.name && named->targets.size() > 1) {
    return wrong_use("--name goes with one target; each of several has a limit of its own");
  }
  std::vector<WantedLimit> out;
  for (const Target& target : named->targets) {
    out.push_back(wanted);
    out.back().target = target;
  }
  return out;
}

}  // namespace limits
