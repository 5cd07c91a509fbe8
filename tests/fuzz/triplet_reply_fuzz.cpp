// SPDX-License-Identifier: AGPL-3.0-only
// What Redis may answer to a question of Greylisting: replies of anything at all. What is accepted
// is a time that a host may have written, and counts within bounds.
#include <string>
#include <vector>

#include "daemon/cluster/greylist/triplet_call.hpp"
#include "fuzz.hpp"
#include "redis_reply.hpp"

namespace {

using namespace policyd;
using fuzz::check;

void check_time(const std::optional<GreylistingTables::Time>& time,
                const TripletQuestion& question) {
  check(!time || (time->time_since_epoch().count() >= 0 && *time <= question.now),
        "a time is not in the future");
}

void check_counts(const TripletCounts& counts) {
  for (const std::int64_t count : {counts.total, counts.passed}) {
    check(count >= 0 && count <= kMaxTripletsCounted, "counts are bounded");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest = fuzz::text_of(data, size);
  TripletQuestion question{"SenderIP:192.0.2.0/24", "s", "r",
                           GreylistingTables::Time{std::chrono::seconds{1'800'000'000}}};
  const std::uint8_t byte = fuzz::take_byte(rest);
  if (byte % 2 == 1) question.whitelist_period = std::chrono::seconds{byte};
  const auto commands = triplet_question_commands("p:", question);
  std::vector<Result<RedisReply>> replies;
  while (!rest.empty() && replies.size() < commands.size()) {
    if (rest.front() == '-') {
      replies.emplace_back(failure(std::string{fuzz::take_line(rest)}));
    } else {
      replies.emplace_back(fuzz::take_reply(rest, 0));
    }
  }
  const auto read = read_triplet_answer(commands, question, replies);
  if (!read) {
    check(!read.error().message.empty(), "an Error says what it is");
    return 0;
  }
  check(replies.size() == commands.size(), "each command was answered");
  check(read->answered && read->track_key == question.track_key, "it answers the question");
  for (const auto& time : {read->first_seen, read->whitelist_seen, read->blacklist_added}) {
    check_time(time, question);
  }
  check_counts(read->in_whitelist_period);
  check_counts(read->in_blacklist_period);
  return 0;
}
