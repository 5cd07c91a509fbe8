// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/store/recovery/lost_file.hpp"

#include <fmt/core.h>

#include <utility>

namespace policyd {

namespace {

using Kind = Trouble::Kind;

}  // namespace

LostFile::LostFile(EventLoop& loop, Maillog& log, Trouble& trouble, const FileWatchSettings& watch,
                   std::chrono::seconds backup_every, Handlers handlers)
    : log_(log),
      trouble_(trouble),
      file_(watch.file),
      retry_every_(watch.check_every),
      handlers_(std::move(handlers)),
      backups_(loop, log, watch.file, watch.table_prefix, backup_every),
      watch_(loop, watch, [this](const FileFinding& finding) { found(finding); }) {}

void LostFile::opened() {
  open_ = true;
  ids_ = DatabaseIds::of(file_);
  backups_.opened(ids_);
  watch_.opened(ids_);
}

void LostFile::closed() {
  open_ = false;
  watch_.closed();
}

void LostFile::found(const FileFinding& finding) {
  if (replacing_ || !open_) return;
  switch (finding.kind) {
    case FileFinding::Kind::sound:
      // Includes a file that was moved away and came back.
      if (!trouble_.is(Kind::file)) return;
      trouble_.end(Kind::file);
      lost_ = false;
      log_.notice(fmt::format("{} is sound", file_.string()));
      return handlers_.sound();
    case FileFinding::Kind::unfit:
      return trouble_.begin(Kind::file, finding.what, "continuing with the file that is open");
    default:
      break;
  }
  const auto now = std::chrono::steady_clock::now();
  if (lost_ && now - tried_ < retry_every_) return;
  tried_ = now;
  remember(finding);
  replace(finding.kind);
}

void LostFile::remember(const FileFinding& finding) {
  lost_ = true;
  lost_as_ = finding.kind;
  if (!trouble_.is(Kind::file)) {
    trouble_.begin(Kind::file, finding.what, "counting in memory while it is replaced");
  }
}

void LostFile::look(std::uintmax_t log_bytes) {
  if (!open_ || lost_) return;
  const auto finding = watch_.look(ids_, log_bytes);
  if (finding && finding->kind != FileFinding::Kind::unfit) remember(*finding);
}

void LostFile::replace_at_end(std::uintmax_t log_bytes, Millis patience) {
  look(log_bytes);
  if (!open_ || !lost_) return;
  auto result = backups_.replace_at_end(lost_as_);
  if (result.wait_for(patience) == std::future_status::ready) replaced(result.get());
}

void LostFile::replace(FileFinding::Kind lost) {
  replacing_ = true;
  backups_.replace(lost, [this](const Result<Replacement>& result) { replaced(result); });
}

void LostFile::replaced(const Result<Replacement>& result) {
  replacing_ = false;
  if (!result) {
    trouble_.begin(Kind::file,
                   fmt::format("{} is lost and cannot be replaced: {}", file_.string(),
                               result.error().message),
                   "counting in memory, and trying again");
    return;
  }
  // Until the watch has read the new one, so that a short trouble shows in the status too.
  trouble_.begin(Kind::file, fmt::format("{} was lost: {}", file_.string(), result->what),
                 "verifying it first");
  lost_ = false;
  handlers_.reopen(result->adopted);
}

}  // namespace policyd
