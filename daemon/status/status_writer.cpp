// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/status/status_writer.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <system_error>
#include <utility>

namespace policyd {

namespace fs = std::filesystem;

StatusWriter::StatusWriter(EventLoop& loop, Maillog& log, fs::path file, Collect collect,
                           std::chrono::milliseconds every)
    : loop_(loop),
      log_(log),
      file_(std::move(file)),
      collect_(std::move(collect)),
      every_(every),
      thread_("status", [this] { work(); }) {
  auto now = std::make_shared<const Status>(collect_());
  const auto done = write(*now);
  written(std::move(now), done);
  tick();
}

StatusWriter::~StatusWriter() {
  thread_.stop();
  const auto there = read_status(file_);
  std::error_code ignored;
  if (there && *there && (*there)->pid == ::getpid()) fs::remove(file_, ignored);
}

void StatusWriter::tick() {
  loop_.after(every_, guard_.wrap([this] { tick(); }));
  if (writing_) return;
  auto now = std::make_shared<const Status>(collect_());
  if (written_ && *written_ == *now) return;
  writing_ = true;
  thread_.change([&] { to_write_ = std::move(now); });
}

void StatusWriter::work() {
  auto lock = thread_.lock();
  while (thread_.wait(lock, [this] { return to_write_ != nullptr; })) {
    auto status = std::exchange(to_write_, nullptr);
    lock.unlock();
    auto done = write(*status);
    loop_.post(guard_.wrap(
        [this, status = std::move(status), done = std::move(done)] { written(status, done); }));
    lock.lock();
  }
}

void StatusWriter::written(std::shared_ptr<const Status> status, const Result<void>& done) {
  writing_ = false;
  if (done) {
    written_ = std::move(status);
    failure_reported_ = false;
  } else if (!std::exchange(failure_reported_, true)) {
    log_.warning(done.error().message);
  }
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
