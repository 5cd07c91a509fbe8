// SPDX-License-Identifier: AGPL-3.0-only
// Recipients whom an account's mail did not reach, for signal `bounces`: the mail log, read as it
// grows. There is no process that follows it: each run of `answer --due` reads what was added since
// the last one, and leaves a small file with where it stopped, which mail is still in the queue,
// and the bounces of the last hour. A file that is damaged or was removed is begun anew, at the end
// of the log. Every size is bounded.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "daemon/base/clock.hpp"
#include "plugin/block/whom.hpp"
#include "plugin/maillog/growing_log.hpp"
#include "plugin/maillog/mail_reader.hpp"

namespace limits {

// Of one account, as one run has read them.
struct Bounced {
  std::string key;  // the account's counter
  policyd::TimePoint last{};
  std::uint64_t times = 0;
  // Of the last one.
  std::string client;
  std::string login;
  std::string sender;
  std::string recipient;

  bool operator==(const Bounced&) const = default;
};

struct BounceState {
  std::optional<LogPosition> position;
  policyd::TimePoint read_at{};
  std::vector<MailReader::Waiting> waiting;
  std::vector<Bounced> bounced;  // oldest first
  std::string problem;           // why the log could not be read, as a sentence without a full stop

  static constexpr std::size_t kMaxWaiting = 20'000;
  static constexpr std::size_t kMaxBounced = 20'000;

  bool operator==(const BounceState&) const = default;
};

std::filesystem::path bounce_state_file(const std::filesystem::path& zextras_home);
// What a run has left; nothing if there is no such file, or it is damaged.
std::optional<BounceState> read_bounce_state(const std::filesystem::path& file);
policyd::Result<void> write_bounce_state(const std::filesystem::path& file,
                                         const BounceState& state);

class BounceReader {
 public:
  // Opens the log as the user who calls: `mail_log`, or if that is empty the usual one.
  static BounceReader open(const std::string& mail_log, const std::filesystem::path& state_file);

  // Reads what was added to the log. Where that fails, the problem is in the state.
  [[nodiscard]] BounceState read(const OwnNames& own, policyd::TimePoint now) const;
  // Why the last run could not.
  [[nodiscard]] const std::string& problem_before() const { return problem_before_; }

 private:
  BounceState before_;
  std::string problem_before_;
  std::optional<GrowingLog> log_;
};

}  // namespace limits
