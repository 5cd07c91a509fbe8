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
#include <utility>
#include <vector>

#include "daemon/base/unique_fd.hpp"
#include "daemon/cluster/member/cluster.hpp"
#include "daemon/sqlite/database.hpp"
#include "hooks/service/service.hpp"
#include "plugin/database/as_owner.hpp"
#include "plugin/notify/notice_due.hpp"
#include "plugin/notify/notice_news.hpp"
#include "plugin/notify/notice_state.hpp"
#include "plugin/notify/notice_text.hpp"
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

struct Channel {
  std::string name;
  std::function<Result<void>(const Notice&, const NoticeText&, const AllLimits&)> send;
};

std::vector<Channel> channels_of(const DaemonConfig& daemon, const Context& context,
                                 const std::string& host) {
  std::vector<Channel> out;
  const policyd::Config& config = daemon.config;
  if (!config.notify_to.empty()) {
    out.push_back({"mail", [&](const Notice&, const NoticeText& text, const AllLimits&) {
                     return send_mail(sendmail_program(config, context.zextras_home), config, host,
                                      mail_of(text, config.notify_to));
                   }});
  }
  if (!config.notify_command.empty()) {
    out.push_back(
        {"command", [&](const Notice& notice, const NoticeText& text, const AllLimits& all) {
           const auto json = json_of(notice, text, all, host, context.now);
           return run_notice_command(
               config, json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
         }});
  }
  return out;
}

class Run {
 public:
  Run(const DaemonConfig& daemon, const Context& context, NoticeState& state)
      : daemon_(daemon),
        context_(context),
        state_(state),
        host_(policyd::node_name_of(daemon.config)) {}

  Outcome run() {
    follow_conditions(
        is_switched_off(context_) ? Conditions{} : conditions_of(daemon_, context_, state_),
        context_.now, state_);
    const auto database = open_as_owner(daemon_);
    const Tables tables = database ? database->tables : Tables{};
    // A database that cannot be read keeps nobody from being told that.
    const auto all = database ? read_limits(tables) : Result<AllLimits>{AllLimits{}};
    const Conditions wrong = lasting(state_, context_.now);
    std::string failures;
    for (const Channel& channel : channels_of(daemon_, context_, host_)) {
      NoticeChannel& known = state_.channels[channel.name];
      auto news = database ? read_notice_news(tables, known, context_.now)
                           : Result<NoticeNews>{NoticeNews{known.told, {}, {}, {}, {}, {}, {}}};
      if (!news) news = NoticeNews{known.told, {}, {}, {}, {}, {}, {}};
      const Notice notice = notice_for(known, std::move(*news), wrong);
      if (!is_due(notice, known, daemon_.config.notify_every, context_.now)) continue;
      const AllLimits none;
      const AllLimits& limits = all ? *all : none;
      const auto sent = channel.send(notice, describe(notice, limits, host_, context_.now), limits);
      known.at = context_.now;
      const std::string problem = sent ? std::string{} : sent.error().message;
      if (sent) {
        known.told = notice.news.upto;
        known.on = wrong;
      } else if (problem != known.problem) {
        failures += (failures.empty() ? "" : "; ") + problem;
      }
      known.problem = problem;
    }
    if (failures.empty()) return {};
    return failed(
        fmt::format("a notice was not sent: {}; it is tried again with the next one", failures));
  }

 private:
  const DaemonConfig& daemon_;
  const Context& context_;
  NoticeState& state_;
  std::string host_;
};

}  // namespace

Outcome send_due_notices(const DaemonConfig& daemon, const Context& context) {
  const fs::path file = notice_state_file(context.zextras_home);
  auto state = read_notice_state(file);
  if (!state) return failed(state.error());
  if (!*state) return {};
  const auto lock = lock_notices(file);
  if (!lock) return {};
  read_postfix_problem(daemon, context, **state);
  if (auto became = become_owner_of(daemon.config.database); !became) {
    return failed(became.error());
  }
  // Where it cannot be remembered, the same would be sent each minute.
  if (auto written = write_notice_state(file, **state); !written) return failed(written.error());
  auto done = Run{daemon, context, **state}.run();
  if (auto written = write_notice_state(file, **state); !written) return failed(written.error());
  return done;
}

policyd::Result<void> send_notice_to_try(const DaemonConfig& daemon, const Context& context) {
  const std::string host = policyd::node_name_of(daemon.config);
  const NoticeText text = notice_to_try(host);
  for (const Channel& channel : channels_of(daemon, context, host)) {
    if (auto sent = channel.send({}, text, {}); !sent) return sent;
  }
  return {};
}

policyd::Result<void> begin_notices(const DaemonConfig& daemon, const Context& context) {
  const fs::path file = notice_state_file(context.zextras_home);
  auto state = read_notice_state(file);
  if (!state) return tl::unexpected{state.error()};
  if (*state) return {};
  const auto owner = AsOwner::of(daemon.config.database);
  if (!owner) return tl::unexpected{owner.error()};
  NoticeState fresh;
  std::int64_t told = 0;
  const auto db = policyd::open_database(daemon.config.database, policyd::OpenMode::read_write,
                                         std::chrono::seconds{5});
  if (db) told = last_event_id(Tables{db->get(), daemon.config.table_prefix});
  for (const char* name : {"mail", "command"}) fresh.channels[name].told = told;
  return write_notice_state(file, fresh);
}

}  // namespace limits
