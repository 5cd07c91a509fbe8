// SPDX-License-Identifier: AGPL-3.0-only
// What became of messages that are named by their queue IDs, as the mail log tells. A content
// filter gives a message back under another queue ID; it is still the same one. Of a large log only
// the end is read, unless it is compressed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/base/result.hpp"
#include "daemon/base/unique_fd.hpp"
#include "plugin/maillog/log_lines.hpp"

namespace limits {

// Recipients of a message, by what happened last.
struct Deliveries {
  std::uint64_t sent = 0;
  std::uint64_t deferred = 0;
  std::uint64_t bounced = 0;

  bool operator==(const Deliveries&) const = default;
};

// "sent", "2 sent, 1 bounced".
std::string deliveries_text(const Deliveries& deliveries);

class DeliveryLog {
 public:
  static constexpr std::size_t kMaxBytes = std::size_t{64} << 20;  // of a plain log
  // Of all queue IDs, and of all recipients.
  static constexpr std::size_t kMaxIds = 100'000;
  static constexpr std::size_t kMaxRecipients = 200'000;
  static constexpr std::array kUsual = {"/var/log/carbonio.log", "/var/log/mail.log",
                                        "/var/log/maillog"};

  // `given`, or the first of the usual ones that this user may read; nullopt: none of them.
  static Result<std::optional<DeliveryLog>> open(const std::optional<std::string>& given);

  [[nodiscard]] const std::string& name() const { return name_; }
  // Whether only its end is read.
  [[nodiscard]] bool is_cut() const { return is_cut_; }

  struct Found {
    std::unordered_map<std::string, Deliveries> by_id;  // nothing for messages that are not in it
    // Why it could not be read to its end, or that it is not of Postfix; empty if all is well.
    std::string problem;
  };
  // Calls `progress` now and then, with how much of the file has been read.
  [[nodiscard]] Found deliveries_of(
      const std::vector<std::string>& queue_ids,
      const std::function<void(std::uint64_t done, std::uint64_t all)>& progress = {}) const;

 private:
  DeliveryLog(std::string name, policyd::UniqueFd fd)
      : name_(std::move(name)), fd_(std::move(fd)) {}
  static Result<DeliveryLog> open_file(const std::string& file);
  [[nodiscard]] Result<LogLines> lines() const;

  std::string name_;
  policyd::UniqueFd fd_;
  std::uint64_t size_ = 0;
  policyd::TimePoint written_{};  // last
  bool is_cut_ = false;
};

}  // namespace limits
