// SPDX-License-Identifier: AGPL-3.0-only
// What became of messages, as the mail log tells. A content filter gives a message back under
// another queue ID; it is still the same one. Only the end of a large log is read.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "daemon/base/result.hpp"
#include "daemon/base/unique_fd.hpp"

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

class MailLog {
 public:
  static constexpr std::size_t kMaxBytes = std::size_t{64} << 20;
  // Of one line, of all queue IDs, and of all recipients.
  static constexpr std::size_t kMaxLine = std::size_t{1} << 20;
  static constexpr std::size_t kMaxIds = 100'000;
  static constexpr std::size_t kMaxRecipients = 200'000;
  static constexpr std::array kUsual = {"/var/log/carbonio.log", "/var/log/mail.log",
                                        "/var/log/maillog"};

  // `given`, or the first of the usual ones that this user may read; nullopt: none of them.
  static policyd::Result<std::optional<MailLog>> open(const std::optional<std::string>& given);

  [[nodiscard]] const std::string& name() const { return name_; }
  // Whether only its end is read.
  [[nodiscard]] bool is_cut() const { return size_ > kMaxBytes; }

  // By queue ID; nothing for messages that are not in it.
  [[nodiscard]] std::unordered_map<std::string, Deliveries> deliveries_of(
      const std::vector<std::string>& queue_ids) const;

 private:
  MailLog(std::string name, policyd::UniqueFd fd, std::size_t size)
      : name_(std::move(name)), fd_(std::move(fd)), size_(size) {}
  void each_line(const std::function<void(std::string_view)>& take) const;

  std::string name_;
  policyd::UniqueFd fd_;
  std::size_t size_;
};

}  // namespace limits
