// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/session/session.hpp"

#include <algorithm>
#include <functional>
#include <utility>

namespace policyd {

namespace {

// A slot that holds more memory than this was used by an unusual message.
constexpr std::size_t kUsualTexts = 4096;
constexpr std::size_t kUsualRecipients = 64;
// A recipient's address and the text of an answer.
constexpr std::size_t kRoomForRecipient = 128;

// The attributes of RCPT that are kept; the instance first.
constexpr std::array<std::string_view Request::*, 11> kKept = {&Request::instance,
                                                               &Request::sender,
                                                               &Request::helo_name,
                                                               &Request::client_name,
                                                               &Request::reverse_client_name,
                                                               &Request::protocol_name,
                                                               &Request::encryption_protocol,
                                                               &Request::encryption_cipher,
                                                               &Request::encryption_keysize,
                                                               &Request::sasl_method,
                                                               &Request::sasl_sender};

}  // namespace

bool SessionRecipient::has_counted(std::int64_t rules_version, std::int64_t policy,
                                   std::int64_t quota) const {
  if (counted.rules_version != rules_version) return false;
  for (const std::int64_t walked : policies) {
    const bool is_last = walked == counted.last_policy;
    if (walked == policy) return !is_last || quota <= counted.last_quota;
    if (is_last) return false;
  }
  return false;
}

void Session::begin(const Request& rcpt) {
  static_assert(kTexts == kKept.size() + 1);  // and sasl_username
  recycle();
  std::size_t size = rcpt.sasl_username.value_or("").size() + kRoomForRecipient;
  for (const auto attribute : kKept) size += (rcpt.*attribute).size();
  texts_.reserve(size);
  for (std::size_t i = 0; i < kKept.size(); ++i) {
    texts_ += rcpt.*kKept[i];
    ends_[i] = static_cast<std::uint32_t>(texts_.size());
  }
  texts_ += rcpt.sasl_username.value_or("");
  ends_.back() = static_cast<std::uint32_t>(texts_.size());
  has_sasl_username_ = rcpt.sasl_username.has_value();
  client_address_ = rcpt.client_address;
}

void Session::recycle() {
  if (texts_.capacity() > kUsualTexts) std::string{}.swap(texts_);
  forget_recipients();
  texts_.clear();
  ends_ = {};
  has_sasl_username_ = false;
  first_rcpt = last_rcpt = {};
  rules_version = -1;
  end_of_message.reset();
}

std::size_t Session::memory() const {
  return texts_.capacity() + recipients_.capacity() * sizeof(Recipient) +
         policies_.capacity() * sizeof(std::int64_t);
}

Request Session::first_request() const {
  Request request;
  const std::string_view texts = texts_;
  std::uint32_t begin = 0;
  for (std::size_t i = 0; i < kKept.size(); ++i) {
    request.*kKept[i] = texts.substr(begin, ends_[i] - begin);
    begin = ends_[i];
  }
  if (has_sasl_username_) request.sasl_username = texts.substr(begin, ends_.back() - begin);
  request.client_address = client_address_;
  return request;
}

Request Session::request_for(const SessionRecipient& recipient) const {
  Request request = first_request();
  request.state = ProtocolState::end_of_message;
  request.recipient = recipient.address;
  return request;
}

SessionRecipient Session::recipient(std::size_t number) const {
  const Recipient& found = recipients_[number];
  return {text_of(found.address),
          std::span{policies_}.subspan(found.policies.begin, found.policies.size), found.answer,
          found.reached_quotas, found.counted};
}

std::optional<SessionRecipient> Session::find(std::string_view address) const {
  for (std::size_t i = 0; i < recipients_.size(); ++i) {
    if (text_of(recipients_[i].address) == address) return recipient(i);
  }
  return std::nullopt;
}

Session::Slice Session::keep(std::string_view text) {
  const Slice slice{static_cast<std::uint32_t>(texts_.size()),
                    static_cast<std::uint32_t>(text.size())};
  texts_ += text;
  return slice;
}

void Session::add_recipient(std::string_view address, std::span<const std::int64_t> policies,
                            RememberedAnswer answer, bool reached_quotas, const Counted& counted) {
  Recipient& added = recipients_.emplace_back();
  added.address = keep(address);
  added.answer = std::move(answer);
  added.reached_quotas = reached_quotas;
  added.counted = counted;
  added.policies = {static_cast<std::uint32_t>(policies_.size()),
                    static_cast<std::uint32_t>(policies.size())};
  policies_.insert(policies_.end(), policies.begin(), policies.end());
}

void Session::forget_recipients() {
  texts_.resize(std::min<std::size_t>(texts_.size(), ends_.back()));
  if (recipients_.capacity() > kUsualRecipients) std::vector<Recipient>{}.swap(recipients_);
  if (policies_.capacity() > kUsualRecipients) std::vector<std::int64_t>{}.swap(policies_);
  recipients_.clear();
  policies_.clear();
}

namespace {
std::size_t hash_of(std::string_view instance) { return std::hash<std::string_view>{}(instance); }
}  // namespace

Session* Sessions::find(std::string_view instance) {
  return sessions_.find(hash_of(instance),
                        [&](const Session& session) { return session.instance() == instance; });
}

Session& Sessions::open(const Request& rcpt) {
  if (Session* known = find(rcpt.instance)) return *known;
  Session& added = slot_for(rcpt.instance);
  added.begin(rcpt);
  return added;
}

Session& Sessions::add(Session session) {
  Session& added = slot_for(session.instance());
  added = std::move(session);
  return added;
}

Session& Sessions::slot_for(std::string_view instance) {
  if (capacity_ > 0 && sessions_.size() >= capacity_) sessions_.drop_oldest();
  return sessions_.add(hash_of(instance));
}

void Sessions::set_capacity(std::size_t capacity) {
  capacity_ = capacity;
  while (sessions_.size() > capacity_) sessions_.drop_oldest();
}

// FNV-1a: the same in each run and on each machine, which std::hash does not promise.
std::uint64_t question_hash(const Request& request) {
  std::uint64_t hash = 14695981039346656037ULL;
  const auto mix = [&hash](std::string_view text) {
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
    hash = (hash ^ 0xFFU) * 1099511628211ULL;  // no text contains it in UTF-8
  };
  mix(request.instance);
  mix(request.recipient);
  mix(request.state == ProtocolState::rcpt ? "R" : "E");
  return hash;
}

}  // namespace policyd
