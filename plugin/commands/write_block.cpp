// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/commands/write_block.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "plugin/block/block_settings.hpp"
#include "plugin/commands/block_steps.hpp"
#include "plugin/events/history_text.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/usage/counted_name.hpp"
#include "plugin/usage/daemon_news.hpp"

namespace limits {
namespace {

using policyd::Block;
using policyd::EventKind;

constexpr std::chrono::hours kShownHistory{24};

Block new_block(const WantedBlock& wanted, const std::vector<StoredBlock>& before,
                const Context& context) {
  Block out;
  out.who = wanted.whom.name;
  out.since = std::chrono::floor<std::chrono::seconds>(context.now);
  if (wanted.duration) out.until = out.since + *wanted.duration;
  out.by = context.actor.who;
  for (const StoredBlock& each : before) {
    if (!each.is_over(context.now)) out.since = std::min(out.since, each.block.since);
    if (!each.block.account.empty()) out.account = each.block.account;
  }
  if (wanted.account) out.account = *wanted.account;
  return out;
}

void add_new(const std::vector<std::string>& items, std::vector<std::string>& to) {
  for (const std::string& item : items) {
    if (std::find(to.begin(), to.end(), item) == to.end()) to.push_back(item);
  }
}

// What stands for them, and why they must not be blocked.
Result<void> find_whom(const Tables& tables, const DaemonConfig& daemon, const Context& context,
                       WantedBlock& wanted, MadeBlock& out) {
  if (wanted.whom.who == Who::user) {
    wanted.whom.name = counted_name(tables, daemon.config, wanted.whom.name);
  }
  auto own = read_own_names(tables);
  if (!own) return tl::unexpected{own.error()};
  out.own = std::move(*own);
  auto& items = out.made.items;
  items = items_of_whom(wanted.whom, out.own.login_domain());
  add_new(wanted.more_items, items);
  const auto settings = read_block_settings(policyd::own_config_of(daemon.file));
  if (!settings) return tl::unexpected{settings.error()};
  const std::string why = why_never(wanted.whom, items, out.own, settings->never,
                                    wanted.by_itself ? "" : context.actor.who);
  if (!why.empty()) {
    out.refusal = fmt::format("{} cannot be blocked: {}", escaped(wanted.whom.name), why);
  }
  return {};
}

// What was sent under the names that are blocked, for people and for the queue.
Result<void> look_back(const Tables& tables, const DaemonConfig& daemon, const Context& context,
                       MadeBlock& out) {
  HistoryQuestion question;
  question.since = context.now - kShownHistory;
  auto sent = history_sentence(tables, daemon.config, out.made.block.who, names_in(out.made.items),
                               question, context.now);
  if (!sent) return tl::unexpected{sent.error()};
  out.sent = std::move(*sent);
  auto mail = SentMail::read(tables, daemon.config, out.made.items, question.since);
  if (!mail) return tl::unexpected{mail.error()};
  out.mail = std::move(*mail);
  return {};
}

Result<void> make_block(const Tables& tables, const DaemonConfig& daemon, WantedBlock& wanted,
                        const Context& context, MadeBlock& out) {
  if (auto found = find_whom(tables, daemon, context, wanted, out); !found) return found;
  if (!out.refusal.empty()) return {};
  ChangeSet changes{tables, context.actor};
  if (!wanted.dry) {
    if (auto begun = changes.begin(); !begun) return begun;
  }
  const auto all = read_blocks(tables);
  if (!all) return tl::unexpected{all.error()};
  const auto before = blocks_of(*all, wanted.whom, out.made.items);
  const bool first = out.made.block.who.empty();  // else it is completed
  for (const StoredBlock& each : before) {
    if (first && each.in_force(context.now)) out.before = each.block;
  }
  if (first && wanted.by_itself && out.before) {
    out.already = true;
    out.refusal = fmt::format("{} is blocked already", escaped(out.before->who));
    return {};
  }
  // Also its other names, which only Carbonio has told then.
  for (const StoredBlock& each : before) {
    if (each.in_force(context.now)) add_new(each.items, out.made.items);
  }
  out.made.block = new_block(wanted, before, context);
  auto rows = rows_to_delete(before);
  auto added = rows_of_block(tables, out.made.block, wanted.holds ? "HOLD" : "REJECT",
                             data_of_block(wanted.whom), out.made.items);
  if (!added) return tl::unexpected{added.error()};
  std::move(added->begin(), added->end(), std::back_inserter(rows));
  if (auto looked = look_back(tables, daemon, context, out); !looked) return looked;
  if (wanted.dry) {
    auto statements = typed(tables, rows);
    if (!statements) return tl::unexpected{statements.error()};
    out.statements = std::move(*statements);
    return {};
  }
  for (const RowChange& row : rows) changes.run(row);
  if (first) {
    changes.announce(wanted.by_itself ? *wanted.by_itself
                                      : event_about(EventKind::locked, out.made.block));
  }
  return changes.commit();
}

// A daemon that cannot read its database does not know of the block.
void note_trouble(const DaemonConfig& daemon, std::vector<std::string>& notes) {
  const auto trouble = read_news(daemon).trouble_text();
  if (!trouble) return;
  std::string note = *trouble + "; it may not know of the block until that is over.";
  if (std::find(notes.begin(), notes.end(), note) == notes.end()) notes.push_back(std::move(note));
}

}  // namespace

Outcome write_block(const Arguments& arguments, const Context& context, WantedBlock& wanted,
                    MadeBlock& made) {
  return change_rules_for_now(
      arguments, context, wanted.dry,
      [&](const Tables& tables, const DaemonConfig& daemon) {
        made.warnings = headlines(daemon, context.now);
        note_trouble(daemon, made.notes);
        return make_block(tables, daemon, wanted, context, made);
      },
      made.notes);
}

Outcome take_back_block(const Arguments& arguments, const Context& context, MadeBlock& made) {
  return change_rules_for_now(
      arguments, context, false,
      [&](const Tables& tables, const DaemonConfig&) -> Result<void> {
        ChangeSet changes{tables, context.actor};
        if (auto begun = changes.begin(); !begun) return begun;
        const auto all = read_blocks(tables);
        if (!all) return tl::unexpected{all.error()};
        std::vector<StoredBlock> ours;
        std::copy_if(
            all->begin(), all->end(), std::back_inserter(ours),
            [&](const StoredBlock& each) { return each.block.who == made.made.block.who; });
        for (const RowChange& row : rows_to_delete(ours)) changes.run(row);
        changes.announce(event_of_end(made.made.block));
        return changes.commit();
      },
      made.notes);
}

}  // namespace limits
