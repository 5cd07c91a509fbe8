// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/process/worker.hpp"

#include <fmt/core.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <memory>
#include <new>
#include <optional>
#include <utility>

#include "daemon/cleanup/cleanup_schedule.hpp"
#include "daemon/cluster/member/cluster.hpp"
#include "daemon/dns/dns_lookups.hpp"
#include "daemon/engine/engine.hpp"
#include "daemon/events/event_queue.hpp"
#include "daemon/events/event_writer.hpp"
#include "daemon/log/maillog.hpp"
#include "daemon/loop/epoll_loop.hpp"
#include "daemon/net/server.hpp"
#include "daemon/process/background.hpp"
#include "daemon/process/pid_file.hpp"
#include "daemon/process/readiness.hpp"
#include "daemon/process/state_events.hpp"
#include "daemon/rules/all_mail.hpp"
#include "daemon/sqlite/database.hpp"
#include "daemon/status/pause_file.hpp"
#include "daemon/status/pause_watch.hpp"
#include "daemon/status/status_writer.hpp"
#include "daemon/store/sqlite/sqlite_store.hpp"
#include "version.hpp"

namespace policyd {
namespace {

constexpr std::chrono::seconds kMaxStoreTime{5};
constexpr std::chrono::seconds kMaxEventsTime{2};

LogSettings log_settings(const Config& config, const Options& options) {
  LogSettings settings;
  settings.file = config.log_file;
  settings.in_background = options.close_output;
  settings.level = options.debug ? LogLevel::debug : static_cast<LogLevel>(config.log_level);
  settings.mail_to_syslog = config.log_mail != "main";
  return settings;
}

// A log that cannot be opened must not stop mail.
std::unique_ptr<Maillog> open_log(LogSettings settings) {
  auto log = Maillog::open(settings);
  if (log) return std::move(*log);
  const std::string why = log.error().message;
  settings.file.clear();
  log = Maillog::open(settings);
  (*log)->error(fmt::format("{}; logging to {}", why,
                            settings.in_background ? "the system log" : "standard error"));
  return std::move(*log);
}

SqliteStoreSettings store_settings(const Config& config) {
  SqliteStoreSettings settings;
  settings.file = config.database;
  settings.table_prefix = config.table_prefix;
  settings.run_folder = config.pid_file.parent_path();
  settings.sync_each_commit = config.durability == Durability::full;
  settings.cache_entries = config.cache_entries;
  settings.reopen_after = config.bypass_timeout;
  settings.backup_every = config.backup_interval;
  settings.check_every = config.check_interval;
  settings.remind_every = config.remind_interval;
  settings.largest_log = static_cast<std::int64_t>(config.largest_log_mib) * 1024 * 1024;
  return settings;
}

EventWriterSettings event_settings(const Config& config) {
  EventWriterSettings settings;
  settings.database = config.database;
  settings.table_prefix = config.table_prefix;
  return settings;
}

// What a reload cannot change: settings that were used before root was given up, or held open.
std::vector<std::string_view> needing_restart(const Config& now, const Config& then) {
  std::vector<std::string_view> keys;
  if (now.host != then.host || now.port != then.port || now.unix_socket != then.unix_socket) {
    keys.emplace_back("host, port or proto");
  }
  if (now.user != then.user || now.group != then.group) keys.emplace_back("user or group");
  if (now.database != then.database || now.table_prefix != then.table_prefix) {
    keys.emplace_back("the database");
  }
  if (now.durability != then.durability || now.cache_entries != then.cache_entries) {
    keys.emplace_back("durability or cache_entries");
  }
  if (now.backup_interval != then.backup_interval || now.check_interval != then.check_interval ||
      now.remind_interval != then.remind_interval || now.largest_log_mib != then.largest_log_mib) {
    keys.emplace_back("backup_interval, check_interval, remind_interval or largest_log");
  }
  if (now.pid_file != then.pid_file) keys.emplace_back("pid_file");
  if (now.nameservers != then.nameservers) keys.emplace_back("nameservers");
  if (now.cluster_url != then.cluster_url || now.cluster_node != then.cluster_node ||
      now.cluster_without != then.cluster_without ||
      now.cluster_password_file != then.cluster_password_file ||
      now.cluster_timeout != then.cluster_timeout || now.cluster_prefix != then.cluster_prefix) {
    keys.emplace_back("[cluster]");
  }
  return keys;
}

// Shells and old init scripts leave us 1024 descriptors, fewer than max_connections.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// Says it once; what then happens is the business of the place that asked for memory.
void on_out_of_memory() {
  std::set_new_handler(nullptr);
  constexpr std::string_view kLine = "cbpolicyd: out of memory\n";
  static_cast<void>(!::write(STDERR_FILENO, kLine.data(), kLine.size()));
}

class Worker {
 public:
  Worker(const LoadedConfig& loaded, std::vector<Listener> listeners, const Options& options,
         std::chrono::microseconds watchdog, const Notifier& notifier)
      : config_(loaded.config),
        options_(options),
        serving_(serving_line(listeners)),
        log_(open_log(log_settings(config_, options))),
        store_(loop_, *log_, store_settings(config_)),
        lookups_(loop_, *log_, {config_.nameservers}),
        cluster_(make_cluster()),
        engine_(loop_, store_, *log_, config_, clock(), &lookups_, &events_,
                cluster_ ? &cluster_->counters() : nullptr,
                cluster_ ? &cluster_->greylisting() : nullptr) {
    log_->notice(fmt::format("cbpolicyd {} started, pid {}", kVersion, ::getpid()));
    log_messages(loaded);
    pause_.emplace(loop_, *log_, pause_file_of(config_.pid_file),
                   [this](const Pause& pause) { engine_.set_pause(pause); });
    store_.open();
    events_.set_near_percent(config_.notify_near);
    event_writer_.emplace(
        loop_, *log_, events_, store_.own_commits(), event_settings(config_),
        [this] { return store_.open_files(); }, clock());
    cleanup_.emplace(
        *log_, CleanupSettings{config_.database, config_.table_prefix, config_.cleanup_sessions});
    server_ = std::make_unique<Server>(
        loop_, engine_, *log_, config_, std::move(listeners),
        Server::Handlers{[this] { reload(); }, [this] { statistics(); },
                         [this] { readiness_->stopping(); },
                         [this] { return !cluster_ || !cluster_->is_starting(); }});
    status_writer_.emplace(loop_, *log_, status_file_of(config_.pid_file), metrics_file(),
                           [this] { return status(); });
    readiness_.emplace(loop_, notifier, watchdog, [this] { return status_line(); });
  }

  void warn(const std::string& text) { log_->warning(text); }

  void run() {
    readiness_->ready();
    if (options_.close_output) close_output();
    server_->run();
    cleanup_.reset();
    store_.stopping();
    engine_.finish();
    engine_.save_open_sessions();
    event_writer_->finish(kMaxEventsTime);
    event_writer_.reset();
    store_.close(kMaxStoreTime);
    status_writer_.reset();
    log_->notice("cbpolicyd stopped");
  }

 private:
  std::unique_ptr<Cluster> make_cluster() {
    if (config_.cluster_url.empty()) return nullptr;
    return std::make_unique<Cluster>(loop_, *log_, config_,
                                     Cluster::Host{[this] {
                                                     const auto& rules = store_.rules();
                                                     return rules ? rules->version : 0;
                                                   },
                                                   [this](Store::Decide work, Store::Done done) {
                                                     engine_.in_batch(std::move(work),
                                                                      std::move(done));
                                                   }});
  }

  [[nodiscard]] std::filesystem::path metrics_file() const {
    return config_.metrics_file.empty() ? config_.metrics_file
                                        : options_.home / config_.metrics_file;
  }

  // All hosts of a cluster count by the engine's.
  Engine::Clock clock() {
    if (!cluster_) return wall_clock;
    return [this] { return cluster_->now(); };
  }

  void log_messages(const LoadedConfig& loaded) {
    for (const std::string& warning : loaded.warnings) log_->warning(warning);
    for (const std::string& notice : loaded.notices) log_->notice(notice);
  }

  static std::string serving_line(const std::vector<Listener>& listeners) {
    std::string names;
    for (const Listener& listener : listeners) {
      names += (names.empty() ? "" : ", ") + listener.name;
    }
    return "Serving on " + names;
  }

  std::string status_line() {
    std::string line = serving_;
    if (pause_->current() != Pause{}) line += ", limits are paused";
    if (!store_.trouble().empty()) line += ", database trouble: " + store_.trouble();
    return line;
  }

  void reload() {
    readiness_->reloading();
    reload_config();
    readiness_->ready();
  }

  void reload_config() {
    auto loaded = load_config(options_.config);
    if (!loaded) {
      log_->error(fmt::format("keeping the previous configuration: {}", loaded.error().message));
      return;
    }
    log_messages(*loaded);
    for (const std::string_view keys : needing_restart(config_, loaded->config)) {
      log_->warning(fmt::format("{} changed: restart required", keys));
    }
    config_ = std::move(loaded->config);
    if (auto reopened = log_->reopen(log_settings(config_, options_)); !reopened) {
      log_->error(reopened.error().message);
    }
    engine_.configure(config_);
    events_.set_near_percent(config_.notify_near);
    server_->configure(config_);
    cleanup_->configure(config_.cleanup_sessions);
    status_writer_->set_metrics_file(metrics_file());
    log_->notice("configuration reloaded");
  }

  void statistics() {
    log_->notice(fmt::format(
        "statistics: {} connections, {} requests in {} batches, {} refused, {} sessions",
        server_->connection_count(), engine_.statistics().requests, engine_.statistics().batches,
        engine_.statistics().refused, engine_.statistics().sessions));
  }

  // What the command can read. Once a second.
  Status status() {
    Status now;
    now.pid = ::getpid();
    now.process_start = process_start_;
    now.version = kVersion;
    now.started = started_;
    now.database = config_.database.string();
    now.open_log = store_.open_log();
    if (!store_.trouble().empty()) {
      if (!trouble_since_) trouble_since_ = wall_clock();
      now.trouble = Status::Trouble{store_.trouble(), *trouble_since_, store_.unstored()};
    } else {
      trouble_since_.reset();
    }
    Maillog::Lost lost = log_->lost();
    now.lost_log_lines = lost.lines;
    now.lost_log_why = std::move(lost.why);
    if (const auto& rules = store_.rules()) {
      now.rules_version = rules->version;
      now.policies = rules->policies.size();
      now.rule_problems = rules->problems.size();
      const RowProblem* problem = all_mail_deferred_by(*rules, engine_.module_names());
      if (problem != nullptr) now.all_mail_deferred = describe_all_mail(*problem);
    }
    if (const Pause pause = pause_->current(); pause != Pause{}) now.pause = pause;
    if (cluster_) now.cluster = cluster_status();
    now.modules = engine_.module_names();
    now.algorithm = config_.quotas_algorithm == Algorithm::window ? "window" : "decay";
    const Engine::Statistics counted = engine_.statistics();
    now.connections = server_->connection_count();
    now.sessions = counted.sessions;
    now.requests = counted.requests;
    now.batches = counted.batches;
    now.refused = counted.refused;
    now.times = counted.times;
    now.refused_requests = server_->refused_requests();
    events_.each_total([&](const EventQueue::Total& total) {
      now.happened.push_back({std::string{name_of(total.kind)}, total.module, total.row_id,
                              total.verdict, total.times});
    });
    now.events_lost = event_writer_->lost();
    const RefusedCounters& refused = events_.refused_counters();
    const TimePoint at = clock()();
    now.longest_refusal = refused.longest(at);
    for (auto& counter : refused.most_often(config_.top_senders, at)) {
      now.most_refused.push_back(
          {std::move(counter.module), counter.row_id, std::move(counter.track_key), counter.times});
    }
    state_events_.look({store_.trouble(), unshared(now), now.rules_version, pause_->last_read()},
                       at);
    return now;
  }

  static std::optional<std::string_view> unshared(const Status& now) {
    if (!now.cluster) return std::nullopt;
    if (now.cluster->sharing) return std::string_view{};
    if (now.cluster->trouble.empty()) return "limits are not shared";
    return now.cluster->trouble;
  }

  Status::Cluster cluster_status() {
    const ClusterCounters::Status now = cluster_->status();
    return {cluster_->node(),
            now.sharing,
            now.trouble,
            now.hosts,
            std::chrono::duration<double>{now.clock_ahead}.count(),
            std::chrono::duration<double>{now.average_round_trip}.count(),
            now.questions,
            now.alone,
            now.late,
            cluster_->rules_version()};
  }

  Config config_;
  const Options& options_;
  const std::string serving_;
  const TimePoint started_ = wall_clock();
  const std::uint64_t process_start_ = process_start(::getpid());
  std::optional<TimePoint> trouble_since_;
  std::unique_ptr<Maillog> log_;
  EpollLoop loop_;
  SqliteStore store_;
  EventQueue events_;
  StateEvents state_events_{events_};
  DnsLookups lookups_;
  std::unique_ptr<Cluster> cluster_;  // null without [cluster] url
  Engine engine_;
  std::optional<PauseWatch> pause_;
  std::unique_ptr<Server> server_;
  std::optional<StatusWriter> status_writer_;
  std::optional<CleanupSchedule> cleanup_;
  std::optional<EventWriter> event_writer_;
  std::optional<Readiness> readiness_;
};

}  // namespace

Result<int> run_worker(const LoadedConfig& loaded, std::vector<Listener> listeners,
                       const Options& options, std::chrono::microseconds watchdog,
                       const Notifier& notifier) {
  std::signal(SIGPIPE, SIG_IGN);
  std::set_new_handler(on_out_of_memory);
  std::signal(SIGXFSZ, SIG_IGN);    // a file at its largest size is an error like a full disk
  std::optional<PidFile> pid_file;  // removed last, after the database is closed
  std::string no_pid_file;          // why
  if (!options.supervised) {
    auto taken = PidFile::take(loaded.config.pid_file);
    if (!taken && taken.error().taken) return failure(taken.error().message);
    if (taken) {
      pid_file.emplace(std::move(*taken));
    } else {
      no_pid_file = taken.error().message;
    }
  }
  raise_descriptor_limit();
  configure_sqlite();
  Worker worker{loaded, std::move(listeners), options, watchdog, notifier};
  if (!no_pid_file.empty()) worker.warn(no_pid_file);
  worker.run();
  return kDone;
}

}  // namespace policyd
