// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/cluster/reply_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <utility>

#include "daemon/base/append_number.hpp"

namespace policyd {

namespace {

constexpr std::size_t kMaxReserved = 256;  // elements of a list
constexpr const char* kOtherVersion = "does not speak version 2 of the protocol of Redis";

bool is_version_2(int type) {
  return type == REDIS_REPLY_STRING || type == REDIS_REPLY_ARRAY || type == REDIS_REPLY_INTEGER ||
         type == REDIS_REPLY_NIL || type == REDIS_REPLY_STATUS || type == REDIS_REPLY_ERROR;
}

int depth_of(const redisReadTask* task) {
  int depth = 0;
  for (; task != nullptr; task = task->parent) ++depth;
  return depth;
}

}  // namespace

// hiredis gives up where it gets a null pointer.
RedisReply* ReplyReader::refuse(std::string why) {
  why_broken_ = std::move(why);
  return nullptr;
}

// Where the value of a task belongs: in the list that is its parent, or at the root.
RedisReply* ReplyReader::place(const redisReadTask* task) {
  auto& self = *static_cast<ReplyReader*>(task->privdata);
  if (!is_version_2(task->type)) return self.refuse(kOtherVersion);
  if (task->parent == nullptr) {
    self.root_ = {};
    self.root_read_ = true;
    self.is_error_ = task->type == REDIS_REPLY_ERROR;
    self.elements_ = 0;
    return &self.root_;
  }
  if (++self.elements_ > kMaxElements) {
    return self.refuse(fmt::format("sent a reply of more than {} elements", kMaxElements));
  }
  if (task->type == REDIS_REPLY_ARRAY && depth_of(task) > kMaxDepth) {
    return self.refuse(fmt::format("sent lists nested more than {} deep", kMaxDepth));
  }
  // hiredis finishes an element before the next one, so no pointer to an element is in use here.
  return &static_cast<RedisReply*>(task->parent->obj)->list.emplace_back();
}

// Of hiredis 0.14 and 1.x, in which the number of elements has another type.
redisReplyObjectFunctions ReplyReader::functions() {
  redisReplyObjectFunctions table{};
  table.createString = [](const redisReadTask* task, char* text, std::size_t size) -> void* {
    RedisReply* reply = place(task);
    if (reply == nullptr) return nullptr;
    reply->kind = RedisReply::Kind::text;
    reply->text.assign(text, size);
    return reply;
  };
  table.createArray = [](const redisReadTask* task, auto elements) -> void* {
    RedisReply* reply = place(task);
    if (reply == nullptr) return nullptr;
    reply->kind = RedisReply::Kind::list;
    // The server only says how many will come.
    reply->list.reserve(std::min<std::size_t>(static_cast<std::size_t>(elements), kMaxReserved));
    return reply;
  };
  table.createInteger = [](const redisReadTask* task, long long number) -> void* {
    RedisReply* reply = place(task);
    if (reply == nullptr) return nullptr;
    reply->kind = RedisReply::Kind::number;
    reply->number = number;
    return reply;
  };
  table.createNil = [](const redisReadTask* task) -> void* { return place(task); };
  // Of 1.x; place() refuses them.
  const auto set_other_types = [](auto& all) {
    if constexpr (requires { all.createDouble, all.createBool; }) {
      all.createDouble = [](const redisReadTask* task, double, char*, std::size_t) -> void* {
        return place(task);
      };
      all.createBool = [](const redisReadTask* task, int) -> void* { return place(task); };
    }
  };
  set_other_types(table);
  table.freeObject = [](void*) {};  // the root is a member
  return table;
}

ReplyReader::ReplyReader() : functions_(functions()) { reset(); }

void ReplyReader::reset() {
  reader_.reset(redisReaderCreateWithFunctions(&functions_));
  if (!reader_) throw std::bad_alloc{};
  reader_->privdata = this;
  why_broken_.clear();
  fed_ = 0;
  root_ = {};
  root_read_ = false;
}

void ReplyReader::feed(std::string_view bytes) {
  fed_ += bytes.size();
  redisReaderFeed(reader_.get(), bytes.data(), bytes.size());  // an error is found by next()
}

ReplyReader::Next ReplyReader::next() {
  if (!why_broken_.empty()) return {Next::Kind::broken, {}, why_broken_};
  void* reply = nullptr;
  const bool parsed = redisReaderGetReply(reader_.get(), &reply) == REDIS_OK;
  if (!parsed && why_broken_.empty()) {
    why_broken_ = reader_->err == REDIS_ERR_OOM ? "sent a reply for which there is no memory"
                                                : "does not speak the protocol of Redis";
  }
  if (parsed && reply != nullptr) {
    // Bytes fed with it may belong to the next reply.
    fed_ = reader_->len - reader_->pos;
    if (std::exchange(root_read_, false)) {
      if (!is_error_) return {Next::Kind::reply, std::move(root_), {}};
      return {Next::Kind::error, {}, std::move(root_.text)};
    }
    why_broken_ = kOtherVersion;
  }
  if (parsed && reply == nullptr && fed_ > kMaxReplyBytes) {
    why_broken_ = fmt::format("sent a reply of more than {} MiB", kMaxReplyBytes / 1024 / 1024);
  }
  if (!why_broken_.empty()) return {Next::Kind::broken, {}, why_broken_};
  return {};
}

void append_redis_command(std::string& out, const std::vector<std::string>& words) {
  append_number(out += '*', static_cast<std::int64_t>(words.size()));
  out += "\r\n";
  for (const std::string& word : words) {
    append_number(out += '$', static_cast<std::int64_t>(word.size()));
    out.append("\r\n").append(word).append("\r\n");
  }
}

}  // namespace policyd
