// SPDX-License-Identifier: AGPL-3.0-only
// `unblock`: takes a block back, with what was done to the account and the queue.
#include <fmt/core.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "plugin/answers/due_steps.hpp"
#include "plugin/block/block_text.hpp"
#include "plugin/block/blocks.hpp"
#include "plugin/block/sent_mail.hpp"
#include "plugin/block/whom.hpp"
#include "plugin/commands/block_steps.hpp"
#include "plugin/commands/commands.hpp"
#include "plugin/events/read_events.hpp"
#include "plugin/limit/steps.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/usage/counted_name.hpp"

namespace limits {
namespace {

constexpr std::array<Option, 5> kUnblockOptions = {{
    {"release", "", "also deliver its mail that a block holds in the queue of this host"},
    {"delete", "", "delete that mail instead; first asks you to type the number of messages"},
    {"dry-run", "", "show what would change, and change nothing"},
    {"json", "", "print JSON"},
    kAccountTimeoutOption,
}};

struct Unblocking {
  Target whom;
  bool dry = false;
  std::vector<StoredBlock> ended;
  std::vector<StoredBlock> around;  // networks that a client is in
  std::vector<std::string> notes;
  HeldBy held;
};

using Interval = HeldBy::Interval;

// When steps `hold` about one of `items` have had new mail held, in as long as mail is kept; their
// blocks may be over, and gone.
Result<std::vector<Interval>> new_mail_held(const Tables& tables,
                                            std::span<const std::string> items,
                                            const std::string& login_domain,
                                            policyd::TimePoint now) {
  using std::chrono::floor;
  using std::chrono::seconds;
  std::vector<Interval> out;
  EventFilter filter;
  filter.kinds = {policyd::EventKind::locked, policyd::EventKind::released};
  filter.since = now - kHeldFor;
  std::optional<policyd::Event> next;  // that was about them, and so ended the hold
  auto done = each_event(tables, filter, [&](StoredEvent&& stored) {
    policyd::Event& event = stored.event;
    const auto whom = parse_whom(name_of_counter(event.track_key));
    if (!whom) return true;
    const std::vector<std::string> names = items_of_whom(*whom, login_domain);
    if (std::find_first_of(names.begin(), names.end(), items.begin(), items.end()) == names.end()) {
      return true;
    }
    const auto steps = parse_steps(event.verdict);
    if (event.kind == policyd::EventKind::locked && steps && steps->size() == 1 &&
        steps->front().kind == Step::Kind::hold) {
      Interval held{floor<seconds>(event.first), now};
      if (const auto duration = steps->front().duration) held.to = event.first + *duration;
      // Events of a minute are one row.
      if (next) held.to = std::min(held.to, next->first < event.first ? next->last : next->first);
      out.push_back(held);
    }
    next = std::move(event);
    return true;
  });
  if (!done) return tl::unexpected{done.error()};
  return out;
}

Result<void> find_held(const Tables& tables, const DaemonConfig& daemon, const Context& context,
                       const std::vector<std::string>& items, const std::string& login_domain,
                       HeldBy& out) {
  auto record = read_held_record(held_record_file(daemon.config.database), items, context.now);
  if (!record) return tl::unexpected{record.error()};
  out.items = items;
  out.record = std::move(*record);
  auto held = new_mail_held(tables, items, login_domain, context.now);
  if (!held) return tl::unexpected{held.error()};
  std::erase_if(*held, [&](const Interval& each) {
    return out.record.settled && each.from <= *out.record.settled;
  });
  out.new_mail = std::move(*held);
  if (out.new_mail.empty()) return {};
  const policyd::TimePoint since = out.new_mail.back().from;  // the newest are first
  auto sent = SentMail::read(tables, daemon.config, items, since);
  if (!sent) return tl::unexpected{sent.error()};
  out.sent = std::move(*sent);
  return {};
}

Result<void> end_block(const Tables& tables, const DaemonConfig& daemon, const Context& context,
                       Unblocking& out) {
  if (out.whom.who == Who::user) {
    out.whom.name = counted_name(tables, daemon.config, out.whom.name);
  }
  ChangeSet changes{tables, context.actor};
  if (!out.dry) {
    if (auto begun = changes.begin(); !begun) return begun;
  }
  const auto own = read_own_names(tables);
  if (!own) return tl::unexpected{own.error()};
  const auto all = read_blocks(tables);
  if (!all) return tl::unexpected{all.error()};
  std::vector<std::string> items = items_of_whom(out.whom, own->login_domain());
  out.ended = blocks_of(*all, out.whom, items);
  for (StoredBlock& each : blocks_around(*all, out.whom)) {
    if (each.in_force(context.now)) out.around.push_back(std::move(each));
  }
  for (const StoredBlock& each : out.ended) {
    items.insert(items.end(), each.items.begin(), each.items.end());
  }
  if (auto found = find_held(tables, daemon, context, items, own->login_domain(), out.held);
      !found) {
    return found;
  }
  if (out.dry || out.ended.empty()) return {};
  for (const StoredBlock& each : out.ended) {
    const auto rows =
        each.block.account.empty() ? rows_to_delete({&each, 1}) : rows_to_end(each, context.now);
    for (const RowChange& row : rows) changes.run(row);
    for (policyd::Event& event :
         events_about(policyd::EventKind::released, each, own->login_domain())) {
      changes.announce(std::move(event));
    }
  }
  return changes.commit();
}

// The rows of those whose account has its status again, which they kept until then.
Outcome delete_rows_of(const std::vector<StoredBlock>& restored, const Arguments& arguments,
                       const Context& context, std::vector<std::string>& notes) {
  if (restored.empty()) return {};
  return change_rules_for_now(
      arguments, context, false,
      [&](const Tables& tables, const DaemonConfig&) -> Result<void> {
        ChangeSet changes{tables, context.actor};
        if (auto begun = changes.begin(); !begun) return begun;
        for (const RowChange& row : rows_to_delete(restored)) changes.run(row);
        return changes.commit();
      },
      notes);
}

void print_ended(const Unblocking& done, Context& context) {
  Output& output = context.output;
  if (done.ended.empty()) {
    output.line(context.advice.complete(
        fmt::format("Nothing to change: {} is not blocked; 'carbonio-limits blocked' shows who is.",
                    escaped(done.whom.name))));
    return;
  }
  for (const StoredBlock& each : done.ended) {
    output.line(fmt::format("{} {}, which {} blocked by {}: mail of {} {}.",
                            done.dry ? "Would unblock" : "Unblocked", escaped(each.block.who),
                            each.is_over(context.now) ? "had been" : "was", escaped(each.block.by),
                            items_text(each.items),
                            done.dry ? "would no longer be refused" : "is no longer refused"));
    if (done.dry && !each.block.account.empty()) {
      output.line(fmt::format("Account {} would become {} again, unless it was changed meanwhile.",
                              escaped(each.block.who), escaped(each.block.account)));
    }
  }
}

nlohmann::json json_of_ended(const Unblocking& done, const StepLines& lines,
                             policyd::TimePoint now) {
  nlohmann::json list = nlohmann::json::array();
  for (const StoredBlock& each : done.ended) list.push_back(json_of(each, now));
  return {{"unblocked", std::move(list)},
          {"dry_run", done.dry},
          {"done", lines.done},
          {"notes", done.notes}};
}

Outcome restore_accounts(Unblocking& done, const Arguments& arguments, const Context& context,
                         StepLines& lines) {
  std::vector<StoredBlock> restored;
  for (const StoredBlock& each : done.ended) {
    if (each.block.account.empty()) continue;
    if (restore_account(prov_for(arguments, context), each.block, lines)) restored.push_back(each);
  }
  return delete_rows_of(restored, arguments, context, done.notes);
}

Outcome run_unblock(const Arguments& arguments, Context& context) {
  const auto& words = arguments.words();
  const auto whom = parse_typed_whom(words.empty() ? std::string{} : words.front());
  if (!whom) return wrong_use(whom.error().message);
  const bool release = arguments.has("release");
  const bool removes = arguments.has("delete");
  if (release && removes) return wrong_use("--release and --delete cannot be combined");
  if (removes && arguments.has("json")) {
    return wrong_use("--delete and --json cannot be combined: --delete asks");
  }
  if (const auto timeout = prov_timeout(arguments); !timeout) {
    return tl::unexpected{timeout.error()};
  }
  Unblocking done;
  done.whom = *whom;
  done.dry = arguments.has("dry-run");
  auto ended = change_rules_for_now(
      arguments, context, done.dry,
      [&](const Tables& tables, const DaemonConfig& daemon) {
        return end_block(tables, daemon, context, done);
      },
      done.notes);
  if (!ended) return ended;
  for (const StoredBlock& each : done.around) {
    done.notes.push_back(context.advice.complete(
        fmt::format("{} is in {}, which is blocked; '{}' ends that.", escaped(done.whom.name),
                    escaped(each.block.who), unblock_command(each.block))));
  }
  const bool json = arguments.has("json");
  if (!json) {
    print_ended(done, context);
    context.output.flush();
  }
  StepLines lines;
  if (!done.dry) {
    if (auto restored = restore_accounts(done, arguments, context, lines); !restored) {
      return restored;
    }
  }
  if (!done.dry || release || removes) {
    policyd::Block block;
    block.who = done.whom.name;
    settle_held_mail(arguments, context, block, done.held,
                     release   ? HeldMail::release
                     : removes ? HeldMail::remove
                               : HeldMail::leave,
                     done.dry, lines);
  }
  if (json) {
    context.output.print(json_of_ended(done, lines, context.now));
  } else {
    for (const std::string& line : lines.done) {
      context.output.line(context.advice.complete(line));
    }
    for (const std::string& note : done.notes) context.output.note(note);
    if (done.dry && !done.ended.empty()) context.output.line("Nothing was changed (--dry-run).");
  }
  if (lines.trouble.empty()) return {};
  return failed(context.advice.complete(fmt::format("{}", fmt::join(lines.trouble, "; "))));
}

}  // namespace

const Command kUnblock = {
    "unblock",
    "LOGIN|ADDRESS|CLIENT [--release | --delete] [--dry-run] [--json] [--prov-timeout SECONDS]",
    "End a block: mail passes again",
    "From the next recipient on the block refuses nothing; limits apply as to everybody. Any "
    "spelling of the account will do. An account that --account has locked gets the status that it "
    "had before, unless it was changed meanwhile. Mail that a block holds in Postfix's queue "
    "on this host stays there without --release or --delete, which can also be used later. "
    "'blocked' shows who is blocked.",
    "unblock anna@example.org\n"
    "unblock anna@example.org --release\n"
    "unblock 192.0.2.17",
    kUnblockOptions,
    1,
    run_unblock};

}  // namespace limits
