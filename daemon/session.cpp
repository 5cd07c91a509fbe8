// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/session.hpp"

#include <functional>
#include <utility>

#include "daemon/session_row.hpp"

namespace policyd {

Request Session::request_for(const SessionRecipient& recipient) const {
  Request request;
  request.state = ProtocolState::end_of_message;
  request.instance = instance;
  request.sender = sender;
  request.helo_name = helo_name;
  if (sasl_username) request.sasl_username = *sasl_username;
  request.client_address = client_address;
  request.recipient = recipient.address;
  return request;
}

const SessionRecipient* Session::find(std::string_view recipient) const {
  for (const SessionRecipient& known : recipients) {
    if (known.address == recipient) return &known;
  }
  return nullptr;
}

namespace {
std::size_t hash_of(std::string_view instance) { return std::hash<std::string_view>{}(instance); }
}  // namespace

Session* Sessions::find(std::string_view instance) {
  return sessions_.find(hash_of(instance),
                        [&](const Session& session) { return session.instance == instance; });
}

Session& Sessions::open(const Request& rcpt) {
  if (Session* known = find(rcpt.instance)) return *known;
  Session session;
  session.instance = rcpt.instance;
  session.sender = rcpt.sender;
  session.helo_name = rcpt.helo_name;
  if (rcpt.sasl_username) session.sasl_username = *rcpt.sasl_username;
  session.client_address = rcpt.client_address;
  session.connection = connection_texts(rcpt);
  return add(std::move(session));
}

Session& Sessions::add(Session session) {
  if (capacity_ > 0 && sessions_.size() >= capacity_) sessions_.drop_oldest();
  Session& added = sessions_.add(hash_of(session.instance));
  added = std::move(session);
  return added;
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
