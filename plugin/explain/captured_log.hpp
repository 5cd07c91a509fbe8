// SPDX-License-Identifier: AGPL-3.0-only
// The daemon's log, caught instead of written: what modules say while they decide is part of the
// reason. A file without a name in the folder for temporary files. One thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "daemon/base/unique_fd.hpp"
#include "daemon/log/maillog.hpp"

namespace limits {

class CapturedLog {
 public:
  static policyd::Result<CapturedLog> make();

  [[nodiscard]] policyd::Maillog& log() { return *log_; }
  // The lines since the last call, without time and pid: "module=Quotas, action=defer, ...".
  std::vector<std::string> take();

 private:
  CapturedLog(policyd::UniqueFd file, std::unique_ptr<policyd::Maillog> log)
      : file_(std::move(file)), log_(std::move(log)) {}

  policyd::UniqueFd file_;
  std::unique_ptr<policyd::Maillog> log_;
  std::string rest_;
};

}  // namespace limits
