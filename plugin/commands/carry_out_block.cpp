// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/commands/carry_out_block.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "daemon/base/mail_address.hpp"
#include "daemon/base/shell_words.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

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
  if (!own.has_domain(policyd::domain_of(whom.name))) return;
  const std::string local_part{policyd::local_part_of(whom.name)};
  notes.push_back(
      fmt::format("the login {0} without a domain is not blocked, since this server has {1} "
                  "domains; 'carbonio-limits block {0}' blocks it.",
                  policyd::shell_word(local_part), own.domains.size()));
}

bool is_of_this_carbonio(const Target& whom, const OwnNames& own) {
  if (whom.who == Who::client) return false;
  if (whom.who == Who::login || own.domains.empty()) return true;
  return own.has_domain(policyd::domain_of(whom.name));
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

// What each part of it needs.
struct Work {
  const Arguments& arguments;
  const Context& context;
  WantedBlock& wanted;
  MadeBlock& made;
  StepLines& lines;

  // What Carbonio says about the account, once it was asked.
  std::optional<policyd::Result<carbonio::Prov>> prov = {};
  std::optional<policyd::Result<AccountAnswer>> answer = {};

  Outcome write() { return write_block(arguments, context, wanted, made); }
  void ask() {
    prov = prov_for(arguments, context);
    answer = *prov ? ask_about_account(**prov, wanted.whom.name)
                   : policyd::Result<AccountAnswer>{tl::unexpected{prov->error()}};
  }
  // `why` it must not be. The rows go; of an account that an earlier block has locked the status
  // that it had is not forgotten.
  Outcome take_back(const std::string& why) {
    if (auto back = take_back_block(arguments, context, made); !back) return back;
    const policyd::Block& block = made.made.block;
    if (block.account.empty()) return failed(why + "; the block was taken back");
    return failed(fmt::format(
        "{}; the block was taken back, but the account is still locked by an earlier one: '{}' "
        "unlocks it",
        why, typed_status_change(block.who, block.account)));
  }
};

Outcome lock_account(const carbonio::Prov& prov, const CarbonioAccount& account, Work& work) {
  WantedBlock& wanted = work.wanted;
  StepLines& lines = work.lines;
  const std::string name = escaped(account.name);
  if (account.status == kLockedStatus) {
    lines.done.push_back(work.made.made.block.account.empty()
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
  if (auto stored = work.write(); !stored) return stored;
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
  lines.done.push_back(change->gone
                           ? fmt::format("Account {} has been deleted meanwhile.", name)
                           : fmt::format("Account {} has become {} meanwhile, and is left so.",
                                         name, escaped(change->now)));
  wanted.account = "";
  return work.write();
}

// Why it must not be blocked, as only Carbonio knows; empty if it may be.
std::string why_never_account(const std::string& who, const AccountAnswer& answer) {
  if (!answer.account || !(answer.account->system || answer.account->admin)) return {};
  return fmt::format("{} cannot be blocked: it is {} account of Carbonio", who,
                     answer.account->system ? "a system" : "an administrator's");
}

// From now on it is meant by the name that stays if the alias that was typed is removed. `items`
// are kept: what was typed is blocked in any case.
void take_names(const AccountAnswer& answer, const std::vector<std::string>& items,
                WantedBlock& wanted) {
  wanted.more_items = items_of_account(*answer.account, answer.default_domain);
  wanted.more_items.insert(wanted.more_items.end(), items.begin(), items.end());
  if (auto named = parse_user(answer.account->name)) wanted.whom = std::move(*named);
}

// No one sees a step that is taken by itself, and no one could correct it: everything that speaks
// against it is asked first. A Failure if it must not be taken.
Outcome ask_before(Work& work) {
  auto& [arguments, context, wanted, made, lines, prov, answer] = work;
  MadeBlock tried;
  wanted.dry = true;
  auto written = write_block(arguments, context, wanted, tried);
  wanted.dry = false;
  if (!written) return written;
  made.already = tried.already;
  if (!tried.refusal.empty()) return failed(tried.refusal);
  if (!carbonio::has_prov(context.zextras_home) || !is_of_this_carbonio(wanted.whom, tried.own)) {
    return {};
  }
  work.ask();
  const std::string who = escaped(wanted.whom.name);
  if (!*answer) {
    return failed(
        fmt::format("Carbonio does not say whether {} is an administrator's account, which is "
                    "never blocked: {}",
                    who, answer->error().message));
  }
  if (const std::string why = why_never_account(who, **answer); !why.empty()) return failed(why);
  if ((*answer)->account) take_names(**answer, tried.made.items, wanted);
  return {};
}

// What only Carbonio knows. A Failure if the block was taken back.
Outcome ask_carbonio_about(Work& work) {
  auto& [arguments, context, wanted, made, lines, prov, asked] = work;
  const std::string who = escaped(wanted.whom.name);
  if (!asked) work.ask();
  const auto& answer = *asked;
  if (!answer) {
    made.notes.push_back(fmt::format(
        "Carbonio does not say whether {} is a system account, which must not be blocked: {}", who,
        answer.error().message));
    if (wanted.lock) lines.trouble.push_back(fmt::format("account {} was not locked", who));
    return {};
  }
  if (!answer->account) {
    made.notes.push_back(
        fmt::format("Carbonio has no account {}; mail under this name is refused "
                    "all the same.",
                    who));
    if (wanted.lock) {
      lines.trouble.push_back(fmt::format("there is no account {} to be locked", who));
    }
    return {};
  }
  const CarbonioAccount& account = *answer->account;
  if (const std::string why = why_never_account(who, *answer); !why.empty()) {
    return work.take_back(why);
  }
  const std::vector<std::string> items = made.made.items;
  take_names(*answer, items, wanted);
  const auto known = [&items](const std::string& item) {
    return std::find(items.begin(), items.end(), item) != items.end();
  };
  if (wanted.whom.name != made.made.block.who ||
      !std::all_of(wanted.more_items.begin(), wanted.more_items.end(), known)) {
    if (auto written = work.write(); !written) return written;
    if (!made.refusal.empty()) return work.take_back(made.refusal);
  }
  if (!wanted.lock) return {};
  return lock_account(**prov, account, work);
}

}  // namespace

Outcome carry_out_block(const Arguments& arguments, const Context& context, WantedBlock& wanted,
                        MadeBlock& made, StepLines& lines, const std::function<void()>& written) {
  Work work{arguments, context, wanted, made, lines};
  if (wanted.by_itself) {
    if (auto asked = ask_before(work); !asked) return asked;
  }
  if (auto stored = work.write(); !stored) return stored;
  if (!made.refusal.empty()) return failed(made.refusal + "; nothing was changed");
  written();
  const bool of_carbonio =
      carbonio::has_prov(context.zextras_home) && is_of_this_carbonio(wanted.whom, made.own);
  if (of_carbonio && !wanted.dry) {
    if (auto asked = ask_carbonio_about(work); !asked) return asked;
  } else if (wanted.lock && !wanted.dry) {
    lines.trouble.push_back(fmt::format(
        "this host has no Carbonio account {}, so it was not locked", escaped(wanted.whom.name)));
  }
  if (wanted.more_items.empty()) {  // else Carbonio has named all spellings
    note_other_spelling(wanted.whom, made.own, made.notes);
  }
  if (wanted.hold_queue) {
    hold_mail(arguments, context, made.made.block, made.made.items, made.mail, wanted.dry, lines);
  }
  return {};
}

}  // namespace limits
