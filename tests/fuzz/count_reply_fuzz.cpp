// SPDX-License-Identifier: AGPL-3.0-only
// What Redis may answer to a call of count.lua: a reply of anything at all, a byte for the kind of
// each part. What is accepted stays within bounds; and a field that is read can be written again.
#include <algorithm>
#include <string>

#include "daemon/cluster/count/count_call.hpp"
#include "daemon/cluster/count/counter_field.hpp"
#include "daemon/cluster/count/nodes.hpp"
#include "fuzz.hpp"
#include "redis_reply.hpp"

namespace {

using namespace policyd;
using fuzz::check;
using fuzz::take_byte;
using fuzz::take_reply;

void read_field(std::string_view field) {
  const auto window = window_of_field(field);
  if (!window) return;
  check(field.size() <= kMaxFieldBytes, "a field is bounded");
  std::string again;
  put_double(again, static_cast<double>(window->use()));
  append_field_pairs(again, *window);
  check(window_of_field(again) == window, "a field reads as it was written");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest = fuzz::text_of(data, size);
  read_field(rest);
  if (const auto node = node_of_json(rest)) {
    check(node_of_json(json_of_node(*node)).has_value(), "a node reads as it was written");
  }
  CountCall call;
  call.counters.resize(take_byte(rest) % 4);
  call.questions.resize(take_byte(rest) % 4);
  for (CalledQuestion& question : call.questions) question.parts.resize(2);
  const RedisReply reply = take_reply(rest, 0);
  const auto read = read_count_reply(reply, {"p:", "n", "e"}, call);
  if (!read) {
    check(!read.error().message.empty(), "an Error says what it is");
    return 0;
  }
  if (read->other_epoch) return 0;
  check(read->verdicts.size() == call.questions.size(), "each question has a verdict");
  check(read->others.size() == call.counters.size(), "each counter has its use");
  for (const int verdict : read->verdicts) {
    check(verdict >= CountReply::kNoCounter && verdict < 2, "a verdict names a part");
  }
  for (const CountReply::Full& full : read->full) {
    check(full.counter < call.counters.size(), "a full counter is one of the call");
  }
  Nodes nodes{"n"};
  nodes.read(reply, read->engine);
  check(nodes.hosts() <= Nodes::kMax + 1, "hosts are bounded");
  return 0;
}
