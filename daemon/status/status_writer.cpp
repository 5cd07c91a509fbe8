// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/status/status_writer.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <system_error>
#include <utility>

#include "daemon/base/thread_signals.hpp"

namespace policyd {

namespace fs = std::filesystem;

StatusWriter::StatusWriter(EventLoop& loop, Maillog& log, fs::path file, Collect collect,
                           std::chrono::milliseconds every)
    : loop_(loop), log_(log), file_(std::move(file)), collect_(std::move(collect)), every_(every) {
  auto now = std::make_shared<const Status>(collect_());
  const auto done = write(*now);
  wrote(std::move(now), done);
  tick();
}

StatusWriter::~StatusWriter() {
  *alive_ = false;
  if (thread_.joinable()) thread_.join();
  const auto there = read_status(file_);
  std::error_code ignored;
  if (there && *there && (*there)->pid == ::getpid()) fs::remove(file_, ignored);
}

void StatusWriter::tick() {
  loop_.after(every_, [this, alive = alive_] {
    if (*alive) tick();
  });
  if (writing_) return;
  const auto now = std::make_shared<const Status>(collect_());
  if (written_ && *written_ == *now) return;
  writing_ = true;
  if (thread_.joinable()) thread_.join();  // its word was its last
  try {
    thread_ = std::thread([this, now, alive = alive_] {
      block_signals();
      auto done = write(*now);
      loop_.post([this, alive, now, done = std::move(done)] {
        if (*alive) wrote(now, done);
      });
    });
  } catch (const std::system_error& error) {  // the limit of threads: no reason to end
    wrote(now, failure(fmt::format("cannot write the status file: {}", error.what())));
  }
}

void StatusWriter::wrote(std::shared_ptr<const Status> status, const Result<void>& done) {
  writing_ = false;
  if (done) {
    written_ = std::move(status);
    told_ = false;
  } else if (!std::exchange(told_, true)) {
    log_.warning(done.error().message);
  }
}

Result<void> StatusWriter::write(const Status& status) const {
  // Written beside it and renamed: nobody reads half a status.
  const fs::path fresh = fmt::format("{}.{}", file_.string(), ::getpid());
  std::error_code code;
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
