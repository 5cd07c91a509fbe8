// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/notify/due_notices.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>

#include <chrono>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "daemon/base/unique_fd.hpp"
#include "daemon/cluster/member/cluster.hpp"
#include "daemon/sqlite/database.hpp"
#include "hooks/service/service.hpp"
#include "plugin/block/block_settings.hpp"
#include "plugin/block/own_names.hpp"
#include "plugin/database/as_owner.hpp"
#include "plugin/events/since.hpp"
#include "plugin/notify/notice_due.hpp"
#include "plugin/notify/notice_mail.hpp"
#include "plugin/notify/notice_news.hpp"
#include "plugin/notify/notice_state.hpp"
#include "plugin/notify/notice_text.hpp"
#include "plugin/notify/report.hpp"
#include "plugin/notify/report_text.hpp"
#include "plugin/notify/send_notice.hpp"
#include "plugin/postfix/postfix_asks.hpp"
#include "plugin/rows/read_limits.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/usage/daemon_news.hpp"
#include "plugin/usage/headlines.hpp"

namespace limits {
namespace {

namespace fs = std::filesystem;
using policyd::Result;

constexpr std::chrono::minutes kPostfixEvery{10};

// Held until the end of the run; closed if another run holds it.
policyd::UniqueFd lock_notices(const fs::path& state_file) {
  policyd::UniqueFd fd{
      ::open(state_file.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (fd && ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) fd.reset();
  return fd;
}

bool is_switched_off(const Context& context) {
  return carbonio::is_carbonio(context.zextras_home) &&
         !carbonio::is_switched_on(context.zextras_home);
}

// In doctor's words. As the user who runs this: only root may be able to read master.cf.
void read_postfix_problem(const DaemonConfig& daemon, const Context& context, NoticeState& state) {
  const auto& read = state.postfix_read;
  if (read && *read <= context.now && context.now - *read < kPostfixEvery) return;
  const PostfixView view =
      inspect_postfix(context.zextras_home, context.search_path, daemon.config);
  state.postfix_read = context.now;
  state.postfix_problem = view.asks == PostfixView::Asks::nowhere
                              ? fmt::format(
                                    "{}: no limit is in force; 'carbonio-limits doctor' "
                                    "shows what fixes it.",
                                    view.what)
                              : std::string{};
}

// What lasts, of the status that the daemon writes each second.
Conditions conditions_of(const DaemonConfig& daemon, const Context& context,
                         const NoticeState& state) {
  Conditions out;
  for (const Headline& line : headlines(daemon, context.now)) {
    switch (line.kind) {
      case Headline::Kind::paused:  // on purpose
        break;
      case Headline::Kind::not_running:
        out["not_running"] = line.text;
        break;
      case Headline::Kind::no_rules:
      case Headline::Kind::all_mail:
        out["all_mail"] = line.text;
        break;
      case Headline::Kind::quotas_off:
        out["quotas_off"] = line.text;
        break;
    }
  }
  if (const auto trouble = read_news(daemon).trouble_text()) {
    out["trouble"] = fmt::format(
        "Database trouble: {}; 'carbonio-limits doctor' shows what fixes it.", *trouble);
  }
  if (!state.postfix_problem.empty()) out["postfix"] = state.postfix_problem;
  return out;
}

constexpr const char* kMailChannel = "mail";
constexpr const char* kProgramChannel = "command";

struct Channel {
  std::string name;
  std::function<Result<void>(const NoticeText&, const nlohmann::json&)> send;
};

std::vector<Channel> channels_of(const DaemonConfig& daemon, const Context& context,
                                 const std::string& host) {
  std::vector<Channel> out;
  const policyd::Config& config = daemon.config;
  if (!config.notify_to.empty()) {
    out.push_back({kMailChannel, [&](const NoticeText& text, const nlohmann::json&) {
                     return send_mail(sendmail_program(config, context.zextras_home), config, host,
                                      mail_of(text, config.notify_to));
                   }});
  }
  if (!config.notify_command.empty()) {
    out.push_back({kProgramChannel, [&](const NoticeText&, const nlohmann::json& json) {
                     return run_notice_command(
                         config,
                         json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
                   }});
  }
  return out;
}

// One that is new begins with what happens from now on, and so does a clock that was set back.
void follow_channels(const policyd::Config& config, std::optional<std::int64_t> last_event,
                     policyd::TimePoint now, NoticeState& state) {
  const auto follow = [&](const char* name, bool on) {
    if (!on) {
      state.channels.erase(name);
      return;
    }
    NoticeChannel& channel = state.channels[name];
    if (!channel.told) channel.told = last_event;
    if (!channel.reported || *channel.reported > now) channel.reported = now;
  };
  follow(kMailChannel, !config.notify_to.empty());
  follow(kProgramChannel, !config.notify_command.empty());
}

// What cannot be read says less; that it cannot is what doctor reports.
NoticeContext read_notice_context(const Tables& tables, const DaemonConfig& daemon) {
  NoticeContext out;
  if (auto all = read_limits(tables)) out.all = std::move(*all);
  if (auto own = read_own_names(tables)) out.own = std::move(*own);
  if (auto settings = read_block_settings(policyd::own_config_of(daemon.file))) {
    out.never = std::move(settings->never);
  }
  return out;
}

class Run {
 public:
  Run(const DaemonConfig& daemon, const Context& context, const FindProblems& find_problems,
      NoticeState& state)
      : daemon_(daemon),
        context_(context),
        find_problems_(find_problems),
        state_(state),
        host_(policyd::node_name_of(daemon.config)) {}

  Outcome run() {
    follow_conditions(
        is_switched_off(context_) ? Conditions{} : conditions_of(daemon_, context_, state_),
        context_.now, state_);
    // A database that cannot be read keeps no one from being told that.
    const auto database = open_as_owner(daemon_);
    const Tables* tables = database ? &database->tables : nullptr;
    if (tables != nullptr) {
      around_ = read_notice_context(*tables, daemon_);
    }
    follow_channels(daemon_.config, tables == nullptr ? std::nullopt : last_event_id(*tables),
                    context_.now, state_);
    for (const Channel& channel : channels_of(daemon_, context_, host_)) {
      NoticeChannel& known = state_.channels[channel.name];
      send_notice(channel, known, tables);
      send_report(channel, known, tables);
    }
    if (failures_.empty()) return {};
    return failed(
        fmt::format("a notice was not sent: {}; it is tried again with the next one", failures_));
  }

 private:
  void send_notice(const Channel& channel, NoticeChannel& known, const Tables* tables) {
    const Conditions wrong = lasting(state_, context_.now);
    NoticeNews news;
    news.upto = known.told;
    if (tables != nullptr) {
      if (auto read = read_notice_news(*tables, known, around_.all, context_.now))
        news = std::move(*read);
    }
    const Notice notice = notice_for(known, std::move(news), wrong);
    if (!is_due(notice, known, daemon_.config.notify_every, context_.now)) return;
    const NoticeText text = describe(notice, around_, host_, context_.now);
    nlohmann::json json = json_of(text, "notice", host_, context_.now);
    add_json(json, notice, around_.all);
    const bool sent = is_sent(channel, known, text, json);
    known.at = context_.now;
    if (!sent) return;
    known.told = notice.news.upto;
    known.on = wrong;
  }

  void send_report(const Channel& channel, NoticeChannel& known, const Tables* tables) {
    if (daemon_.config.notify_report.empty() || tables == nullptr) return;
    const auto scheduled = parse_since(daemon_.config.notify_report, context_.now);
    if (!scheduled || !is_report_due(known, *scheduled, context_.now)) return;
    const auto before =
        parse_since(daemon_.config.notify_report, *scheduled - std::chrono::minutes{1});
    if (!before) return;
    if (!report_) report_ = read_report(*tables, *before, *scheduled, around_.all);
    if (!*report_) return;  // a database in trouble is told by notices
    if (!problems_) problems_ = find_problems_();
    (*report_)->problems = *problems_;
    if (!daemon_.config.notify_report_always && is_all_well(**report_)) {
      known.reported = context_.now;
      return;
    }
    const NoticeText text = describe(**report_, around_, host_, context_.now);
    nlohmann::json json = json_of(text, "report", host_, context_.now);
    add_json(json, **report_, around_.all);
    if (is_sent(channel, known, text, json)) known.reported = context_.now;
  }

  bool is_sent(const Channel& channel, NoticeChannel& known, const NoticeText& text,
               const nlohmann::json& json) {
    const auto sent = channel.send(text, json);
    const std::string problem = sent ? std::string{} : sent.error().message;
    if (!problem.empty() && problem != known.problem) {
      failures_ += (failures_.empty() ? "" : "; ") + problem;
    }
    if (!problem.empty() || !known.problem.empty()) known.at = context_.now;
    known.problem = problem;
    return problem.empty();
  }

  const DaemonConfig& daemon_;
  const Context& context_;
  const FindProblems& find_problems_;
  NoticeState& state_;
  std::string host_;
  NoticeContext around_;
  std::optional<Result<DailyReport>> report_;  // the same for all channels
  std::optional<std::vector<NoticeItem>> problems_;
  std::string failures_;
};

// To all channels, until one fails.
tl::expected<void, NotSent> send_to_all(const DaemonConfig& daemon, const Context& context,
                                        const std::string& host, const NoticeText& text,
                                        const nlohmann::json& json) {
  bool mail_sent = false;
  for (const Channel& channel : channels_of(daemon, context, host)) {
    if (const auto sent = channel.send(text, json); !sent) {
      return tl::unexpected{NotSent{sent.error().message, mail_sent}};
    }
    mail_sent = mail_sent || channel.name == kMailChannel;
  }
  return {};
}

}  // namespace

Outcome send_due_notices(const DaemonConfig& daemon, const Context& context,
                         const FindProblems& find_problems) {
  const fs::path file = notice_state_file(context.zextras_home);
  const auto lock = lock_notices(file);
  if (!lock) return {};
  auto state = read_notice_state(file);
  if (!state) return failed(state.error());
  // Without configuration it is not known who is to be told; doctor reports that.
  if (!*state || !daemon.read) return {};
  read_postfix_problem(daemon, context, **state);
  if (auto became = become_owner_of(daemon.config.database); !became) {
    return failed(became.error());
  }
  // Where it cannot be remembered, the same would be sent each minute.
  if (auto written = write_notice_state(file, **state); !written) return failed(written.error());
  auto done = Run{daemon, context, find_problems, **state}.run();
  std::error_code code;
  if (!fs::exists(file, code)) return done;  // switched off meanwhile
  if (auto written = write_notice_state(file, **state); !written) return failed(written.error());
  return done;
}

tl::expected<void, NotSent> send_notice_to_try(const DaemonConfig& daemon, const Context& context) {
  const std::string host = policyd::node_name_of(daemon.config);
  const NoticeText text = notice_to_try(host);
  return send_to_all(daemon, context, host, text, json_of(text, "try", host, context.now));
}

tl::expected<void, NotSent> send_report_to_try(const DaemonConfig& daemon, const Context& context,
                                               const FindProblems& find_problems) {
  const auto database = open_as_owner(daemon);
  if (!database) return tl::unexpected{NotSent{database.error().message}};
  const NoticeContext around = read_notice_context(database->tables, daemon);
  auto report =
      read_report(database->tables, context.now - std::chrono::hours{24}, context.now, around.all);
  if (!report) return tl::unexpected{NotSent{report.error().message}};
  report->problems = find_problems();
  const std::string host = policyd::node_name_of(daemon.config);
  const NoticeText text = describe(*report, around, host, context.now);
  nlohmann::json json = json_of(text, "report", host, context.now);
  add_json(json, *report, around.all);
  return send_to_all(daemon, context, host, text, json);
}

policyd::Result<void> begin_notices(const DaemonConfig& daemon, const Context& context) {
  const fs::path file = notice_state_file(context.zextras_home);
  auto state = read_notice_state(file);
  if (!state) return tl::unexpected{state.error()};
  const auto owner = AsOwner::of(daemon.config.database);
  if (!owner) return tl::unexpected{owner.error()};
  NoticeState next = state->value_or(NoticeState{});
  std::optional<std::int64_t> last_event;
  const auto db = policyd::open_database(daemon.config.database, policyd::OpenMode::read_write,
                                         std::chrono::seconds{5});
  if (db) last_event = last_event_id(Tables{db->get(), daemon.config.table_prefix});
  follow_channels(daemon.config, last_event, context.now, next);
  // One is sent to try, which says more than what failed before; that is due again at once.
  for (auto& [name, channel] : next.channels) {
    if (channel.problem.empty()) continue;
    channel.problem.clear();
    channel.at.reset();
  }
  return write_notice_state(file, next);
}

}  // namespace limits
