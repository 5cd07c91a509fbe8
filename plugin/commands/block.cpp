// SPDX-License-Identifier: AGPL-3.0-only
// `block`: mail of an account or client is refused, from the next recipient on. The rows come first
// and are in force before Carbonio or Postfix is asked for anything.
#include <fmt/core.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "daemon/base/mail_address.hpp"
#include "daemon/base/shell_words.hpp"
#include "plugin/block/block_text.hpp"
#include "plugin/block/whom.hpp"
#include "plugin/commands/block_steps.hpp"
#include "plugin/commands/commands.hpp"
#include "plugin/commands/write_block.hpp"
#include "plugin/limit/duration.hpp"
#include "plugin/limit/rate_spec.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/usage/headlines.hpp"

namespace limits {
namespace {

using policyd::Block;

constexpr std::array<Option, 6> kBlockOptions = {{
    {"for", "DURATION", "end by itself after this time: 90s, 10min, 2h, 7day (at most 30day)"},
    {"account", "", "also lock the account in Carbonio, so that no one can log in"},
    {"hold", "", "also hold its mail that waits in the queue of this host"},
    {"dry-run", "", "show what would change, and change nothing"},
    {"json", "", "print JSON"},
    kAccountTimeoutOption,
}};

constexpr std::chrono::seconds kShortestBlock{1};

tl::expected<WantedBlock, Failure> wanted_block(const Arguments& arguments) {
  WantedBlock out;
  const auto& words = arguments.words();
  const auto whom = parse_whom(words.empty() ? std::string{} : words.front());
  if (!whom) return wrong_use(whom.error().message);
  out.whom = *whom;
  out.dry = arguments.has("dry-run");
  if (const auto text = arguments.value("for")) {
    const auto duration = parse_duration(*text, kShortestBlock, kMaxPeriod, "1 s to 30 days");
    if (!duration) return wrong_use("--for: " + duration.error().message);
    out.duration = *duration;
  }
  if (out.whom.who == Who::client && arguments.has("account")) {
    return wrong_use("--account needs a login or an address: a client is no account");
  }
  if (const auto timeout = prov_timeout(arguments); !timeout) {
    return tl::unexpected{timeout.error()};
  }
  return out;
}

// Of the two spellings of an account the one that rows alone do not tell.
void note_other_spelling(const Target& whom, const OwnNames& own, std::vector<std::string>& notes) {
  if (own.domains.size() < 2 || whom.who == Who::client) return;
  if (whom.who == Who::login) {
    notes.push_back(
        fmt::format("only the login is blocked, not web mail, which has none: this server has {} "
                    "domains, so block the account's address, too.",
                    own.domains.size()));
    return;
  }
  const std::string_view domain = policyd::domain_of(whom.name);
  if (std::find(own.domains.begin(), own.domains.end(), domain) == own.domains.end()) return;
  const std::string local_part{policyd::local_part_of(whom.name)};
  notes.push_back(
      fmt::format("the login {0} without a domain is not blocked, since this server has {1} "
                  "domains; 'carbonio-limits block {0}' blocks it.",
                  policyd::shell_word(local_part), own.domains.size()));
}

bool is_of_this_carbonio(const Target& whom, const OwnNames& own) {
  if (whom.who == Who::client) return false;
  if (whom.who == Who::login || own.domains.empty()) return true;
  const std::string_view domain = policyd::domain_of(whom.name);
  return std::find(own.domains.begin(), own.domains.end(), domain) != own.domains.end();
}

// The items of the account's other names.
std::vector<std::string> items_of_account(const CarbonioAccount& account,
                                          const std::string& default_domain) {
  std::vector<std::string> out;
  std::vector<std::string> names = account.aliases;
  names.push_back(account.name);
  for (const std::string& name : names) {
    const auto target = parse_user(name);
    if (!target) continue;
    for (std::string& item : items_of_whom(*target, default_domain)) out.push_back(std::move(item));
  }
  return out;
}

Outcome lock_account(const carbonio::Prov& prov, const CarbonioAccount& account,
                     const Arguments& arguments, const Context& context, WantedBlock& wanted,
                     MadeBlock& made, StepLines& lines) {
  const std::string name = escaped(account.name);
  if (account.status == kLockedStatus) {
    lines.done.push_back(made.made.block.account.empty()
                             ? fmt::format("Account {} was locked already, and stays so after the "
                                           "block.",
                                           name)
                             : fmt::format("Account {} is locked already.", name));
    return {};
  }
  if (account.status != "active" && account.status != "lockout") {
    lines.done.push_back(fmt::format("Account {} is {}, so no one can log in; it is left so.", name,
                                     escaped(account.status)));
    return {};
  }
  // Stored first: it must not be lost if this is interrupted.
  wanted.account = account.status;
  if (auto stored = write_block(arguments, context, wanted, made); !stored) return stored;
  const auto change =
      change_account_status(prov, account.name, account.status, std::string{kLockedStatus});
  if (!change) {
    lines.trouble.push_back(
        fmt::format("account {} may not be locked: {}; '{}' locks it", name, change.error().message,
                    typed_status_change(account.name, std::string{kLockedStatus})));
    return {};
  }
  if (change->changed) {
    lines.done.push_back(
        fmt::format("Account {} is locked; it was {}.", name, escaped(account.status)));
    return {};
  }
  lines.done.push_back(fmt::format("Account {} has become {} meanwhile, and is left so.", name,
                                   escaped(change->now)));
  wanted.account = "";
  return write_block(arguments, context, wanted, made);
}

// What only Carbonio knows. A Failure if the block was taken back.
Outcome ask_carbonio_about(const Arguments& arguments, const Context& context, WantedBlock& wanted,
                           MadeBlock& made, StepLines& lines) {
  const std::string who = escaped(wanted.whom.name);
  const bool lock = arguments.has("account");
  const auto prov = prov_for(arguments, context);
  const auto answer = prov ? ask_about_account(*prov, wanted.whom.name)
                           : policyd::Result<AccountAnswer>{tl::unexpected{prov.error()}};
  if (!answer) {
    made.notes.push_back(fmt::format(
        "Carbonio does not say whether {} is a system account, which must not be blocked: {}", who,
        answer.error().message));
    if (lock) lines.trouble.push_back(fmt::format("account {} was not locked", who));
    return {};
  }
  if (!answer->account) {
    made.notes.push_back(
        fmt::format("Carbonio has no account {}; mail under this name is refused "
                    "all the same.",
                    who));
    if (lock) lines.trouble.push_back(fmt::format("there is no account {} to be locked", who));
    return {};
  }
  const CarbonioAccount& account = *answer->account;
  if (account.system || account.admin) {
    if (auto back = take_back(arguments, context, made); !back) return back;
    return failed(
        fmt::format("{} cannot be blocked: it is {} account of Carbonio; the block was "
                    "taken back",
                    who, account.system ? "a system" : "an administrator's"));
  }
  wanted.more_items = items_of_account(account, answer->default_domain);
  const auto known = [&](const std::string& item) {
    return std::find(made.made.items.begin(), made.made.items.end(), item) != made.made.items.end();
  };
  if (!std::all_of(wanted.more_items.begin(), wanted.more_items.end(), known)) {
    if (auto written = write_block(arguments, context, wanted, made); !written) return written;
    if (!made.refusal.empty()) {
      if (auto back = take_back(arguments, context, made); !back) return back;
      return failed(made.refusal + "; the block was taken back");
    }
  }
  if (!lock) return {};
  return lock_account(*prov, account, arguments, context, wanted, made, lines);
}

// At once, before Carbonio is asked.
void print_blocked_now(const MadeBlock& made, const WantedBlock& wanted, Context& context) {
  Output& output = context.output;
  print_headlines(made.warnings, context.advice, output);
  const Block& block = made.made.block;
  output.line(fmt::format("{} {} {}.", wanted.dry ? "Would block" : "Blocked", escaped(block.who),
                          until_text(block)));
  if (made.before) {
    output.line(fmt::format("It was blocked already, {}.", until_text(*made.before)));
  }
  output.flush();
}

void print_rest(const MadeBlock& made, const WantedBlock& wanted, const StepLines& lines,
                Context& context) {
  Output& output = context.output;
  output.line(fmt::format("{}: mail of {}.",
                          wanted.dry ? "It would be refused" : "Refused from now on",
                          items_text(made.made.items)));
  for (const std::string& line : lines.done) output.line(context.advice.complete(line));
  output.line(made.sent);
  for (const std::string& note : made.notes) output.note(context.advice.complete(note));
  for (const std::string& statement : made.statements) output.line(statement);
  output.line(wanted.dry ? "Nothing was changed (--dry-run)."
                         : context.advice.complete(fmt::format("'{}' ends the block.",
                                                               unblock_command(made.made.block))));
}

nlohmann::json json_of_block(const MadeBlock& made, const WantedBlock& wanted,
                             const StepLines& lines, const Context& context) {
  nlohmann::json out = json_of(made.made, context.now);
  out["dry_run"] = wanted.dry;
  out["blocked_before"] = made.before.has_value();
  out["done"] = lines.done;
  out["sent"] = made.sent;
  out["notes"] = made.notes;
  out["warnings"] = texts_of(made.warnings);
  return out;
}

Outcome run_block(const Arguments& arguments, Context& context) {
  auto wanted = wanted_block(arguments);
  if (!wanted) return tl::unexpected{wanted.error()};
  MadeBlock made;
  if (auto written = write_block(arguments, context, *wanted, made); !written) return written;
  if (!made.refusal.empty()) return failed(made.refusal + "; nothing was changed");
  const bool json = arguments.has("json");
  if (!json) print_blocked_now(made, *wanted, context);
  StepLines lines;
  const bool of_carbonio =
      carbonio::has_prov(context.zextras_home) && is_of_this_carbonio(wanted->whom, made.own);
  if (of_carbonio && !wanted->dry) {
    auto asked = ask_carbonio_about(arguments, context, *wanted, made, lines);
    if (!asked) return asked;
  } else if (arguments.has("account") && !wanted->dry) {
    lines.trouble.push_back(
        fmt::format("{} is no account of a Carbonio on this host, and was not locked",
                    escaped(wanted->whom.name)));
  }
  if (wanted->more_items.empty()) {  // else Carbonio has named all spellings
    note_other_spelling(wanted->whom, made.own, made.notes);
  }
  if (arguments.has("hold") && !wanted->dry) {
    hold_mail(context, made.made.block, made.mail, lines);
  }
  if (json) {
    context.output.print(json_of_block(made, *wanted, lines, context));
  } else {
    print_rest(made, *wanted, lines, context);
  }
  if (lines.trouble.empty()) return {};
  return failed(context.advice.complete(
      fmt::format("{}; the block itself is in force", fmt::join(lines.trouble, "; "))));
}

}  // namespace

const Command kBlock = {
    "block",
    "LOGIN|ADDRESS|CLIENT [--for DURATION] [--account] [--hold] [--dry-run] [--json] "
    "[--prov-timeout SECONDS]",
    "Refuse all mail of an account or client, such as a hacked one",
    "From the next recipient on Postfix refuses its mail for good (5xx), on all hosts of the "
    "cluster. Of an account that is mail with its login or its address as sender, in both "
    "spellings, anna and anna@example.org, if this server has one domain or Carbonio says which "
    "one is meant, and with its aliases; of a client or network what comes from there. A block "
    "goes before all other rules, holds whether AccessControl is switched on or not, and also in a "
    "pause. (The Perl daemon needs AccessControl, and knows no end.) It ends after --for, or with "
    "'unblock'. A second block replaces the first. Recipients that Postfix has accepted already "
    "still get the message.\n"
    "--account sets zimbraAccountStatus to locked, so that no one can log in; 'unblock' sets what "
    "it was before. After --for, 'sync' does so, within the hour. --hold puts what waits in "
    "Postfix's queue on this host on hold: mail with these senders, and mail that the account has "
    "sent under other names in the last day.\n"
    "Never blocked are postmaster, the account of who runs the command, system and administrator "
    "accounts of Carbonio, this host, the whole of an own network, and what stands in "
    "carbonio-limits.conf in section [block] as never: logins, addresses, domains as @example.org, "
    "networks.\n"
    "What the account has sent in the last day is shown; 'history' shows more. The rows are a "
    "policy named 'carbonio-limits block WHO' with a row of access_control.",
    "block anna@example.org\n"
    "block anna@example.org --for 8h --account --hold\n"
    "block 192.0.2.17 --for 1day\n"
    "block anna --dry-run",
    kBlockOptions,
    1,
    run_block};

}  // namespace limits
