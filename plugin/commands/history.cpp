// SPDX-License-Identifier: AGPL-3.0-only
// `history`: what an account, address or client has sent.
#include <fmt/core.h>

#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "plugin/block/block_text.hpp"
#include "plugin/block/blocks.hpp"
#include "plugin/block/whom.hpp"
#include "plugin/commands/commands.hpp"
#include "plugin/commands/top_option.hpp"
#include "plugin/commands/with_database.hpp"
#include "plugin/events/history_text.hpp"
#include "plugin/events/since.hpp"
#include "plugin/terminal/progress.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/usage/counted_name.hpp"
#include "plugin/usage/daemon_news.hpp"
#include "plugin/usage/headlines.hpp"
#include "plugin/usage/track_key.hpp"

namespace limits {
namespace {

constexpr std::array<Option, 4> kHistoryOptions = {{
    {"since", "TIME",
     "since then: 09:00, yesterday, 2026-11-25, '2026-11-25 09:00' or 7day (ago); default: 24h"},
    {"top", "N", "show N of each list (default: 10, or 1000 with --json; at most 10000)"},
    {"mail-log", "FILE",
     "the mail log, also by gzip, xz or zstd (default: /var/log/carbonio.log or the system's, if "
     "readable)"},
    {"json", "", "print JSON"},
}};

constexpr std::chrono::hours kDefaultSpan{24};
constexpr std::chrono::hours kByHour{48};  // longer is by day
constexpr std::size_t kTop = 10;
constexpr std::size_t kTopJson = 1000;

tl::expected<HistoryQuestion, Failure> asked(const Arguments& arguments, policyd::TimePoint now) {
  if (arguments.words().empty()) {
    return wrong_use("whose history? Give a login, mail address, domain, IP address or network");
  }
  if (arguments.words().front().empty()) return wrong_use("the address is empty");
  HistoryQuestion out;
  out.since = now - kDefaultSpan;
  if (const auto since = arguments.value("since")) {
    const auto time = parse_since(*since, now);
    if (!time) return wrong_use(time.error().message);
    out.since = *time;
  }
  out.by_day = now - out.since > kByHour;
  const auto top = top_of(arguments, Tallies::kMax);
  if (!top) return tl::unexpected{top.error()};
  out.latest = top->value_or(arguments.has("json") ? kTopJson : kTop);
  return out;
}

void print_limits_of_knowledge(const DaemonConfig& daemon, Output& output) {
  if (const auto trouble = read_news(daemon).trouble_text()) {
    output.note(*trouble + "; what is sent meanwhile is listed afterwards.");
  }
  if (!daemon.config.cluster_url.empty()) {
    output.note("each host of the cluster lists what it was asked itself.");
  }
}

// What `block` would block of them; nothing of a domain.
Result<std::vector<std::string>> items_of(const Tables& tables, const std::string& name) {
  const auto whom = parse_whom(name);
  if (!whom) return std::vector<std::string>{};
  const auto own = read_own_names(tables);
  if (!own) return tl::unexpected{own.error()};
  return items_of_whom(*whom, own->login_domain());
}

// Whether they are blocked, which no message tells.
Result<void> print_block_of(const Tables& tables, const std::string& name,
                            const std::vector<std::string>& items, Context& context) {
  const auto whom = parse_whom(name);
  if (!whom) return {};
  const auto all = read_blocks(tables);
  if (!all) return tl::unexpected{all.error()};
  for (const StoredBlock& each : blocks_of(*all, *whom, items)) {
    if (!each.in_force(context.now)) continue;
    context.output.line(context.advice.complete(
        fmt::format("Blocked since {} by {}, {}; '{}' ends it.", local_time_text(each.block.since),
                    escaped(each.block.by), until_text(each.block), unblock_command(each.block))));
  }
  return {};
}

Result<void> print_history_of(const Tables& tables, const DaemonConfig& daemon,
                              const Arguments& arguments, const HistoryQuestion& question,
                              const std::optional<DeliveryLog>& mail_log, Context& context) {
  const OwnExtensions own = read_extensions(tables, daemon.config);
  const std::string name =
      counted_name(tables, daemon.config, typed_name(arguments.words().front()));
  const auto items = items_of(tables, name);
  if (!items) return tl::unexpected{items.error()};
  const SentBy who{name, own.extensions, names_in(*items)};
  auto history = read_history(tables, who, question);
  if (!history) return tl::unexpected{history.error()};
  if (mail_log) {
    Progress progress{"Reading the mail log"};
    read_deliveries(*mail_log, *history,
                    [&](std::uint64_t done, std::uint64_t all) { progress.show(done, all); });
  }
  const HistoryView view{*history,    question,        who,
                         context.now, question.latest, mail_log ? &*mail_log : nullptr};
  const auto warnings = headlines(daemon, context.now);
  if (arguments.has("json")) {
    auto out = json_of(view);
    out["warnings"] = texts_of(warnings);
    if (auto note = mail_log_note(view); !note.empty()) out["warnings"].push_back(std::move(note));
    context.output.print(out);
    return {};
  }
  print_headlines(warnings, context.advice, context.output);
  print_history(view, context.output);
  if (auto done = print_block_of(tables, who.name(), *items, context); !done) return done;
  print_limits_of_knowledge(daemon, context.output);
  return {};
}

Outcome run_history(const Arguments& arguments, Context& context) {
  const auto question = asked(arguments, context.now);
  if (!question) return tl::unexpected{question.error()};
  // The daemon's user may not be allowed to read it.
  const auto mail_log = DeliveryLog::open(arguments.value("mail-log"));
  if (!mail_log) return failed(mail_log.error());
  return with_database(arguments, context, [&](const Tables& tables, const DaemonConfig& daemon) {
    return print_history_of(tables, daemon, arguments, *question, *mail_log, context);
  });
}

}  // namespace

const Command kHistory = {
    "history",
    "LOGIN|ADDRESS|CLIENT [--since TIME] [--top N] [--mail-log FILE] [--json]",
    "Show what an account, address or client has sent",
    "Shows how much was sent and refused in the last 24 hours, or since TIME: by hour (beyond two "
    "days by day), by client, sender name and login, and the last messages with their queue IDs. "
    "With a mail address it shows what was sent under this address or with it as login name, and, "
    "if this server has one domain, with the login without it; with a domain the same of all its "
    "users; with an IP address or network what came from there.\n"
    "Messages come from the table session_tracking, which has those that the daemon was asked "
    "about at their end, if Quotas or Accounting is on, and keeps them for 30 days ([cleanup] "
    "sessions of carbonio-limits.conf). Their recipients include refused ones. Refusals come from "
    "the events of the last 30 days ('refused' lists them); those that a counter of several "
    "senders had in "
    "the same minute count for one of them. What became of the last messages is shown if the mail "
    "log can be read, of which the last 64 MiB are, or all if it is compressed; it also has what "
    "Postfix itself refused.",
    "history anna@example.org\n"
    "history anna@example.org --since 7day\n"
    "history 192.0.2.17 --since 02:00\n"
    "history example.org --since yesterday --json",
    kHistoryOptions,
    1,
    run_history};

}  // namespace limits
