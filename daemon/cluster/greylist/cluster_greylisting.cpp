// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/cluster/greylist/cluster_greylisting.hpp"

#include <fmt/core.h>

#include <utility>

namespace policyd {

ClusterGreylisting::ClusterGreylisting(EventLoop& loop, Redis& redis, Maillog& log,
                                       Settings settings, std::function<bool()> sharing)
    : loop_(loop),
      redis_(redis),
      settings_(std::move(settings)),
      sharing_(std::move(sharing)),
      trouble_(log, settings_.remind_every) {}

void ClusterGreylisting::ask(TripletQuestion question, Done done) {
  if (!can_share()) {
    loop_.post(guard_.wrap([done = std::move(done)] { done({}); }));
    return;
  }
  const auto call = std::make_shared<Call>();
  call->commands = triplet_question_commands(settings_.prefix, question);
  call->question = std::move(question);
  call->done = std::move(done);
  for (const RedisWords& command : call->commands) {
    redis_.command(command, guard_.wrap([this, call](const Result<RedisReply>& reply) {
      replied(*call, reply);
    }));
  }
  loop_.after(settings_.timeout, guard_.wrap([this, call] { expire(*call); }));
}

void ClusterGreylisting::replied(Call& call, const Result<RedisReply>& reply) {
  is_late_ = false;
  call.replies.push_back(reply);
  if (call.replies.size() < call.commands.size() || !call.done) return;
  const auto read = read_triplet_answer(call.commands, call.question, call.replies);
  if (!read) odd(read.error().message);
  answer(call, read.value_or(TripletAnswer{}));
}

void ClusterGreylisting::expire(Call& call) {
  if (!call.done) return;
  is_late_ = true;
  odd(fmt::format("no answer within {} ms", settings_.timeout.count()));
  answer(call, {});
}

void ClusterGreylisting::answer(Call& call, const TripletAnswer& answer) {
  std::exchange(call.done, nullptr)(answer);
}

void ClusterGreylisting::tell(const TripletNames& names, TripletState state, Time first_seen,
                              std::chrono::seconds keep_for, std::chrono::seconds count_for) {
  if (!can_share()) return;
  for (auto& command :
       tell_triplet_commands(settings_.prefix, names, state, first_seen, keep_for, count_for)) {
    write(std::move(command));
  }
}

void ClusterGreylisting::tell_whitelisted(std::string_view track_key, Time seen,
                                          std::chrono::seconds keep_for) {
  if (!can_share()) return;
  write(tell_listed_command(settings_.prefix, TripletList::white, track_key, seen, keep_for));
}

void ClusterGreylisting::tell_blacklisted(std::string_view track_key, Time added,
                                          std::chrono::seconds keep_for) {
  if (!can_share()) return;
  write(tell_listed_command(settings_.prefix, TripletList::black, track_key, added, keep_for));
}

void ClusterGreylisting::write(RedisWords command) {
  RedisWords about{command[0], command[1]};
  redis_.command(std::move(command),
                 guard_.wrap([this, about = std::move(about)](const Result<RedisReply>& reply) {
                   if (!reply) odd(explain_redis_error(about, reply.error()).message);
                 }));
}

// That the connection was lost is said by who keeps it up.
void ClusterGreylisting::odd(const std::string& why) {
  if (!redis_.ready() || !sharing_()) return;
  trouble_.odd(SharingTrouble::Odd::reply,
               fmt::format("triplets of Greylisting are not shared: {}", why),
               std::chrono::steady_clock::now());
}

}  // namespace policyd
