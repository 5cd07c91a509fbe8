// SPDX-License-Identifier: AGPL-3.0-only
// Greylisting shared on Redis: one round trip for a question that waits, and writes that nothing
// waits for. When there is no answer in time, or none that can be used, the host's own tables
// decide. What Redis loses is lost: a mail may be deferred once more. The loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/cluster/count/sharing_trouble.hpp"
#include "daemon/cluster/greylist/triplet_call.hpp"
#include "daemon/cluster/redis.hpp"
#include "daemon/log/maillog.hpp"
#include "daemon/loop/event_loop.hpp"
#include "daemon/store/shared_greylisting.hpp"

namespace policyd {

class ClusterGreylisting final : public SharedGreylisting {
 public:
  struct Settings {
    std::string prefix;
    Millis timeout{50};  // of a question; then the own tables decide
    Millis remind_every = std::chrono::minutes{1};
  };

  // `sharing` says whether this host may share anything at the moment; why not is in the log then.
  // The references must outlive this, which must be destroyed on the loop's thread.
  ClusterGreylisting(EventLoop& loop, Redis& redis, Maillog& log, Settings settings,
                     std::function<bool()> sharing);

  void ask(TripletQuestion question, Done done) override;
  void tell(const TripletNames& names, TripletState state, Time first_seen,
            std::chrono::seconds keep_for, std::chrono::seconds count_for) override;
  void tell_whitelisted(std::string_view track_key, Time seen,
                        std::chrono::seconds keep_for) override;
  void tell_blacklisted(std::string_view track_key, Time added,
                        std::chrono::seconds keep_for) override;

 private:
  // A question under way.
  struct Call {
    TripletQuestion question;
    Done done;  // null once it is answered
    std::vector<RedisWords> commands;
    std::vector<Result<RedisReply>> replies;
  };
  using CallPtr = std::shared_ptr<Call>;  // shared with the callbacks that wait for its replies

  [[nodiscard]] bool can_share() const { return !is_late_ && sharing_() && redis_.ready(); }
  void replied(Call& call, const Result<RedisReply>& reply);
  void expire(Call& call);
  static void answer(Call& call, const TripletAnswer& answer);
  void write(RedisWords command);
  void odd(const std::string& why);

  EventLoop& loop_;
  Redis& redis_;
  const Settings settings_;
  const std::function<bool()> sharing_;
  SharingTrouble trouble_;
  bool is_late_ = false;  // there was no reply in time, nor since: nothing more is sent
  EventLoop::Guard guard_;
};

}  // namespace policyd
