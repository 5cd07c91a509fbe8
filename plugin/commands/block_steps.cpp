// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/commands/block_steps.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <iostream>
#include <utility>

#include "daemon/base/ascii.hpp"
#include "plugin/block/block_text.hpp"
#include "plugin/database/as_owner.hpp"
#include "plugin/host/this_carbonio.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

constexpr std::chrono::seconds kAccountTimeout{20};

std::vector<std::string> ids_of(const std::vector<QueuedMail>& mails) {
  std::vector<std::string> out;
  out.reserve(mails.size());
  for (const QueuedMail& mail : mails) out.push_back(mail.queue_id);
  return out;
}

// The number is typed again, so that a slip deletes nothing.
bool is_confirmed(const std::string& who, std::size_t number, Output& output) {
  output.text(fmt::format("This deletes {} of {} for ever. Type {} to do so: ",
                          counted(number, "message"), escaped(who), number));
  output.flush();
  std::string line;
  std::getline(std::cin, line);
  return policyd::parse_number<std::size_t>(line) == number;
}

// `change` of the record of held mail, as its owner.
template <typename Change>
Result<void> change_record(const Arguments& arguments, const Context& context,
                           const Change& change) {
  const auto daemon = database_of(arguments, context);
  if (!daemon) return tl::unexpected{daemon.error()};
  const auto owner = AsOwner::of(daemon->config.database);
  if (!owner) return tl::unexpected{owner.error()};
  return change(held_record_file(daemon->config.database));
}

}  // namespace

Outcome change_rules_for_now(const Arguments& arguments, const Context& context, bool dry,
                             const DatabaseAction& action, std::vector<std::string>& notes) {
  const auto daemon = database_of(arguments, context);
  if (!daemon) return failed(daemon.error());
  const auto owner = AsOwner::of(daemon->config.database);
  if (!owner) return failed(owner.error());
  auto to_come = change_rules_silently(arguments, context, dry, action);
  if (!to_come) return tl::unexpected{to_come.error()};
  const std::string note = *to_come + ".";
  if (!to_come->empty() && std::find(notes.begin(), notes.end(), note) == notes.end()) {
    notes.push_back(note);
  }
  return {};
}

tl::expected<std::chrono::seconds, Failure> prov_timeout(const Arguments& arguments) {
  return seconds_of(arguments, kAccountTimeoutOption, kAccountTimeout);
}

policyd::Result<carbonio::Prov> prov_for(const Arguments& arguments, const Context& context) {
  const auto seconds = prov_timeout(arguments);
  if (!seconds) return policyd::failure(seconds.error().message);
  return prov_of(context.zextras_home, *seconds);
}

bool HeldBy::is(const QueuedMail& mail) const {
  if (!mail.held) return false;
  if (record.mails.contains(identity_of(mail))) return true;
  const bool while_held = std::any_of(new_mail.begin(), new_mail.end(), [&](const Interval& each) {
    return each.from <= mail.arrived && mail.arrived <= each.to;
  });
  return while_held && sent.is(mail.queue_id, mail.sender);
}

bool restore_account(const policyd::Result<carbonio::Prov>& prov, const policyd::Block& block,
                     StepLines& lines) {
  const std::string who = escaped(block.who);
  const auto change = prov ? change_account_status(*prov, block.who, kLockedStatus, block.account)
                           : policyd::Result<StatusChange>{tl::unexpected{prov.error()}};
  if (!change) {
    lines.trouble.push_back(
        fmt::format("account {} may still be locked: {}; '{}' unlocks it, and 'carbonio-limits "
                    "sync' tries again within the hour",
                    who, change.error().message, typed_status_change(block.who, block.account)));
    return false;
  }
  if (change->changed) {
    lines.done.push_back(fmt::format("Account {} is {} again.", who, escaped(change->now)));
  } else if (change->gone) {
    lines.done.push_back(fmt::format("There is no account {} any more.", who));
  } else {
    lines.done.push_back(
        fmt::format("Account {} was no longer locked, and is left {}.", who, escaped(change->now)));
  }
  return true;
}

void hold_mail(const Arguments& arguments, const Context& context, const policyd::Block& block,
               std::span<const std::string> items, const SentMail& sent, bool dry,
               StepLines& lines) {
  const PostfixQueue queue{context.zextras_home, context.search_path};
  const auto waiting = queue.find(
      [&](const QueuedMail& mail) { return !mail.held && sent.is(mail.queue_id, mail.sender); });
  const auto hold = [&]() -> policyd::Result<std::size_t> {
    if (!waiting) return tl::unexpected{waiting.error()};
    if (waiting->empty() || dry) return 0;
    // Before they are held: `unblock` releases what stands there, and nothing that others hold.
    auto recorded = change_record(arguments, context, [&](const std::filesystem::path& file) {
      std::vector<std::string> mails;
      for (const QueuedMail& mail : *waiting) mails.push_back(identity_of(mail));
      return record_held(file, items, mails, context.now);
    });
    if (!recorded) return tl::unexpected{recorded.error()};
    return queue.act(PostfixQueue::Action::hold, ids_of(*waiting));
  };
  const auto held = hold();
  if (!held) {
    lines.trouble.push_back(fmt::format("its mail in the queue {}: {}",
                                        dry ? "would not be held" : "was not held",
                                        held.error().message));
    return;
  }
  if (waiting->empty()) {
    lines.done.emplace_back("None of its mail waits in the queue of this host.");
    return;
  }
  if (dry) {
    lines.done.push_back(fmt::format("Would be held in the queue of this host: {}.",
                                     counted(waiting->size(), "message")));
    return;
  }
  lines.done.push_back(fmt::format(
      "Held in the queue of this host: {}. '{}' delivers them, and with --delete instead "
      "they are deleted.",
      counted(*held, "message"), unblock_command(block, "--release")));
}

void settle_held_mail(const Arguments& arguments, Context& context, const policyd::Block& block,
                      const HeldBy& ours, HeldMail wanted, bool dry, StepLines& lines) {
  const PostfixQueue queue{context.zextras_home, context.search_path};
  const auto held = queue.find([&](const QueuedMail& mail) { return ours.is(mail); });
  const std::string who = escaped(block.who);
  if (!held) {
    if (wanted == HeldMail::leave) return;  // most hosts that only count have no such queue
    lines.trouble.push_back(
        fmt::format("the held mail of {} was left as it is: {}", who, held.error().message));
    return;
  }
  if (held->empty()) {
    if (wanted == HeldMail::leave) return;
    lines.done.push_back(
        fmt::format("No mail of {} is held by a block in the queue of this host.", who));
    return;
  }
  if (wanted == HeldMail::leave) {
    lines.done.push_back(fmt::format(
        "Still held in the queue of this host: {}. '{}' delivers them, and with --delete "
        "instead they are deleted.",
        counted(held->size(), "message"), unblock_command(block, "--release")));
    return;
  }
  const bool removes = wanted == HeldMail::remove;
  if (dry) {
    lines.done.push_back(fmt::format("Would be {}: {} of {}.", removes ? "deleted" : "released",
                                     counted(held->size(), "message"), who));
    return;
  }
  if (removes && !is_confirmed(block.who, held->size(), context.output)) {
    lines.trouble.push_back(
        fmt::format("nothing was deleted: the number typed is not {}", held->size()));
    return;
  }
  const auto done = queue.act(
      removes ? PostfixQueue::Action::remove : PostfixQueue::Action::release, ids_of(*held));
  if (!done) {
    lines.trouble.push_back(
        fmt::format("the held mail of {} was left as it is: {}", who, done.error().message));
    return;
  }
  lines.done.push_back(fmt::format("{}: {} of {}.", removes ? "Deleted" : "Released",
                                   counted(*done, "message"), who));
  auto recorded = change_record(arguments, context, [&](const std::filesystem::path& file) {
    return record_settled(file, ours.items, context.now);
  });
  if (!recorded) {
    lines.trouble.push_back(
        fmt::format("it could not be noted that the mail of {} is no longer held: {}", who,
                    recorded.error().message));
  }
}

}  // namespace limits
