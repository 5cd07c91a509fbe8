// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/status_file.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <system_error>
#include <utility>

namespace policyd {

namespace fs = std::filesystem;

StatusFile::StatusFile(EventLoop& loop, Maillog& log, fs::path file, Collect collect,
                       std::chrono::milliseconds every)
    : loop_(loop), log_(log), file_(std::move(file)), collect_(std::move(collect)), every_(every) {
  tick();
}

StatusFile::~StatusFile() {
  *alive_ = false;
  if (!written_) return;
  const auto there = read_status(file_);
  std::error_code ignored;
  if (there && *there && (*there)->pid == written_->pid) fs::remove(file_, ignored);
}

void StatusFile::tick() {
  loop_.after(every_, [this, alive = alive_] {
    if (*alive) tick();
  });
  Status now = collect_();
  if (written_ && *written_ == now) return;
  const auto done = write(now);
  if (done) {
    written_ = std::move(now);
    told_ = false;
  } else if (!std::exchange(told_, true)) {
    log_.warning(done.error().message);
  }
}

Result<void> StatusFile::write(const Status& status) {
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
