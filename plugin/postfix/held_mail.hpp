// SPDX-License-Identifier: AGPL-3.0-only
// Mail of one sender that waits in Postfix's queue: found by `postqueue -j`, put on hold, released
// or deleted by `postsuper` with the queue IDs on its standard input, as root or else by sudo,
// which Carbonio allows its user.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/base/result.hpp"

namespace limits {

struct QueuedMail {
  std::string queue_id;
  std::string sender;  // empty: a bounce
  bool held = false;
  policyd::TimePoint arrived{};  // 1970 if Postfix does not say
};

// One message for all time, and not only its queue ID, of which Postfix gives short ones again.
std::string identity_of(const QueuedMail& mail);

// A line of `postqueue -j`; an Error, without the line, if it is none.
policyd::Result<QueuedMail> parse_queued(std::string_view line);

// The queue of this host's Postfix: Carbonio's, or else the first of `search_path` and /usr/sbin.
class PostfixQueue {
 public:
  PostfixQueue(const std::filesystem::path& zextras_home, std::string_view search_path);

  // Those for which `wanted` holds. An Error, in one line, if the queue cannot be read.
  [[nodiscard]] policyd::Result<std::vector<QueuedMail>> find(
      const std::function<bool(const QueuedMail&)>& wanted) const;

  enum class Action : char { hold = 'h', release = 'H', remove = 'd' };
  // How many messages that was done to, as Postfix says; others have left the queue meanwhile.
  [[nodiscard]] policyd::Result<std::size_t> act(Action action,
                                                 const std::vector<std::string>& queue_ids) const;

 private:
  std::string folder_;  // of the programs; empty: there are none
};

}  // namespace limits
