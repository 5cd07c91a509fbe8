// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/status/status_writer.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <system_error>
#include <utility>

#include "daemon/base/replace_file.hpp"
#include "daemon/status/metrics.hpp"

namespace policyd {

namespace fs = std::filesystem;

namespace {

constexpr std::chrono::seconds kMetricsEvery{15};

void remove_metrics(const fs::path& file) {
  std::error_code code;
  if (fs::is_regular_file(file, code)) fs::remove(file, code);
}

// Renamed into place: the collector must not read half of it.
Result<void> write_metrics(const fs::path& file, const std::string& text) {
  constexpr mode_t kReadByAll = 0644;  // the collector is another user
  std::error_code code;
  if (file.empty() || !fs::is_directory(file.parent_path(), code)) return {};
  const auto done = replace_file(file, text, kReadByAll);
  if (done) return {};
  return failure(fmt::format("cannot write the figures for Prometheus to {}: {}", file.string(),
                             done.error().message));
}

}  // namespace

StatusWriter::StatusWriter(EventLoop& loop, Maillog& log, fs::path file, fs::path metrics_file,
                           Collect collect, std::chrono::milliseconds every)
    : loop_(loop),
      log_(log),
      file_(std::move(file)),
      metrics_file_(std::move(metrics_file)),
      collect_(std::move(collect)),
      every_(every),
      thread_("status", [this] { work(); }) {
  const Job first{std::make_shared<const Status>(collect_()), true, {}, {}};
  written(first, write(*first.status), {});
  tick();
}

void StatusWriter::set_metrics_file(fs::path file) {
  if (file == metrics_file_) return;
  former_files_.push_back(std::exchange(metrics_file_, std::move(file)));
  metrics_due_ = {};
}

StatusWriter::~StatusWriter() {
  thread_.stop();
  for (const fs::path& former : former_files_) remove_metrics(former);
  static_cast<void>(write_metrics(metrics_file_, metrics_text(false, std::nullopt)));
  const auto there = read_status(file_);
  std::error_code ignored;
  if (there && *there && (*there)->pid == ::getpid()) fs::remove(file_, ignored);
}

void StatusWriter::tick() {
  loop_.after(every_, guard_.wrap([this] { tick(); }));
  metrics_due_ -= every_;
  if (writing_) return;
  Job job{std::make_shared<const Status>(collect_()), false, {}, std::exchange(former_files_, {})};
  job.changed = !written_ || *written_ != *job.status;
  if (metrics_due_.count() <= 0) {
    metrics_due_ = kMetricsEvery;
    job.metrics_file = metrics_file_;
  }
  if (!job.changed && job.metrics_file.empty() && job.former_files.empty()) return;
  writing_ = true;
  thread_.change([&] { to_write_ = std::move(job); });
}

void StatusWriter::work() {
  auto lock = thread_.lock();
  while (thread_.wait(lock, [this] { return to_write_.status != nullptr; })) {
    Job job = std::exchange(to_write_, {});
    lock.unlock();
    for (const fs::path& former : job.former_files) remove_metrics(former);
    auto status = job.changed ? write(*job.status) : Result<void>{};
    auto metrics = job.metrics_file.empty()
                       ? Result<void>{}
                       : write_metrics(job.metrics_file, metrics_text(true, *job.status));
    loop_.post(guard_.wrap([this, job = std::move(job), status = std::move(status),
                            metrics = std::move(metrics)] { written(job, status, metrics); }));
    lock.lock();
  }
}

void StatusWriter::written(const Job& job, const Result<void>& status,
                           const Result<void>& metrics) {
  writing_ = false;
  const auto report = [this](const Result<void>& done, bool& reported) {
    const bool before = std::exchange(reported, !done);
    if (!done && !before) log_.warning(done.error().message);
  };
  report(status, failure_reported_);
  if (status) written_ = job.status;
  if (!job.metrics_file.empty()) report(metrics, metrics_failure_reported_);
}

Result<void> StatusWriter::write(const Status& status) const {
  // Renamed into place, so that readers never see half a status.
  const fs::path fresh = fmt::format("{}.{}", file_.string(), ::getpid());
  std::error_code code;
  fs::remove(fresh, code);  // whatever it is: opening a FIFO would wait
  std::ofstream out{fresh, std::ios::binary | std::ios::trunc};
  out << status_json(status);
  out.close();
  if (!out) {
    code = std::make_error_code(static_cast<std::errc>(errno));
  } else {
    fs::rename(fresh, file_, code);
  }
  if (!code) return {};
  const std::string why = code.message();
  fs::remove(fresh, code);
  return failure(fmt::format("cannot write the status file {}: {}", file_.string(), why));
}

}  // namespace policyd
