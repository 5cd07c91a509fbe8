// SPDX-License-Identifier: AGPL-3.0-only
// What the other MTAs have counted, for commands: read from the engine, in slices and for at most
// some seconds. As the daemon's user.
#pragma once

#include <boost/core/noncopyable.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/base/clock.hpp"
#include "plugin/cluster/engine_link.hpp"
#include "plugin/database/database_file.hpp"
#include "plugin/usage/other_parts.hpp"

namespace limits {

class SharedFigures : boost::noncopyable {
 public:
  static constexpr std::chrono::milliseconds kWithin{4'000};
  static constexpr std::size_t kAtOnce = 500;  // counters asked for without waiting
  static constexpr std::size_t kMaxCounters = 500'000;

  // Asks the engine for its time, if this host shares its limits at the moment.
  explicit SharedFigures(const DaemonConfig& daemon);

  // [cluster] url is set, for the daemon of this database.
  [[nodiscard]] bool configured() const { return configured_; }
  // Why only this host's figures are known, a sentence without a full stop; empty if all are.
  [[nodiscard]] const std::string& trouble() const { return trouble_; }
  // The daemon cannot ask the other MTAs either, and decides by this.
  [[nodiscard]] const std::optional<Alone>& alone() const { return alone_; }
  // The same as a sentence; empty if it can.
  [[nodiscard]] std::string alone_text() const;
  // By which all MTAs count; nullopt if it is not known.
  [[nodiscard]] std::optional<policyd::TimePoint> now() const { return now_; }

  // An Error becomes trouble(), too.
  policyd::Result<OtherParts> read(const std::vector<std::int64_t>& limit_ids,
                                   const std::optional<std::vector<std::string>>& keys);
  // The same; empty if there is nothing to ask.
  AskOthers asking();

 private:
  policyd::Result<void> read_slice(EngineLink::Commands commands,
                                   const std::vector<std::string>& names, OtherParts& parts,
                                   std::vector<policyd::RedisReply>* before);
  policyd::Result<OtherParts> read_named(const std::vector<std::string>& names);
  policyd::Result<OtherParts> read_all(const std::vector<std::int64_t>& limit_ids);
  [[nodiscard]] std::string key_of(const std::string& name) const;

  bool configured_ = false;
  std::string trouble_;
  std::string prefix_;
  std::string node_;
  std::optional<Alone> alone_;
  std::optional<policyd::TimePoint> now_;
  std::unique_ptr<EngineLink> link_;  // null without a cluster
};

// Of the reply of TIME; nullopt if it is none.
std::optional<policyd::TimePoint> time_in(const policyd::RedisReply& reply);
// How a command asks the engine as the daemon would; an Error if [cluster] url is none.
policyd::Result<policyd::HiredisSettings> engine_settings_of(const policyd::Config& config);

}  // namespace limits
