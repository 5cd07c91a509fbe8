// SPDX-License-Identifier: AGPL-3.0-only
// What Redis may answer when it is asked for resets: a reply of anything at all. What is accepted
// is within its bounds, and the same when it is added and read again.
#include <string>
#include <utility>
#include <vector>

#include "daemon/cluster/reset/reset_request.hpp"
#include "fuzz.hpp"
#include "redis_reply.hpp"

namespace {

using namespace policyd;
using fuzz::check;

RedisReply list_of(std::vector<RedisReply> elements) {
  RedisReply reply;
  reply.kind = RedisReply::Kind::list;
  reply.list = std::move(elements);
  return reply;
}

RedisReply text_of(std::string text) {
  RedisReply reply;
  reply.kind = RedisReply::Kind::text;
  reply.text = std::move(text);
  return reply;
}

// As the engine returns what words_to_add() has added.
RedisReply added(const ResetEntry& entry) {
  constexpr std::size_t kFirstField = 5;
  const auto words = words_to_add("p:", entry.request);
  std::vector<RedisReply> fields;
  for (std::size_t i = kFirstField; i < words.size(); ++i) fields.push_back(text_of(words[i]));
  return list_of({list_of({text_of(entry.id.to_string()), list_of(std::move(fields))})});
}

void check_entry(const ResetEntry& entry, const ReadResets& read) {
  const ResetRequest& request = entry.request;
  check(entry.id <= read.last, "none is later than the last one");
  check(request.limit_ids.size() <= kMaxResetLimits, "limits are bounded");
  check(request.keys.size() <= kMaxResetKeys, "keys are bounded");
  for (const std::string& key : request.keys) {
    check(!key.empty() && key.size() <= kMaxResetKeyBytes, "a key has 1 to 2,000 bytes");
  }
  const auto again = resets_of(added(entry));
  check(again && again->strange == 0 && again->entries.size() == 1, "it is read again");
  check(again->entries[0].id == entry.id && again->entries[0].request == request,
        "and is what it was");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest = fuzz::text_of(data, size);
  const auto read = resets_of(fuzz::take_reply(rest, 0));
  if (!read) {
    check(!read.error().message.empty(), "an Error says what it is");
    return 0;
  }
  for (const ResetEntry& entry : read->entries) check_entry(entry, *read);
  return 0;
}
