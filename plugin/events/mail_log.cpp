// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/events/mail_log.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

constexpr std::size_t kBlock = std::size_t{256} << 10;
constexpr std::size_t kMaxPasses = 5;  // filters, one after another

enum class DeliveryState : std::uint8_t { sent, deferred, bounced };

// "... postfix/smtp[77]: 4F1A: to=<a@b>, relay=..., dsn=2.0.0, status=sent (250 Ok)"
struct DeliveryLine {
  std::string_view id, to;
  DeliveryState state = DeliveryState::sent;
  std::string_view next_id;  // under which this host has it again
};

std::string_view upto(std::string_view text, std::string_view end) {
  return text.substr(0, text.find(end));
}

std::string_view after(std::string_view text, std::string_view begin) {
  const auto at = text.find(begin);
  return at == std::string_view::npos ? std::string_view{} : text.substr(at + begin.size());
}

std::optional<DeliveryState> state_named(std::string_view word) {
  if (word == "sent") return DeliveryState::sent;
  if (word == "deferred") return DeliveryState::deferred;
  if (word == "bounced" || word == "expired") return DeliveryState::bounced;
  return std::nullopt;  // of an address that is only verified
}

bool is_this_host(std::string_view relay) {
  return relay.starts_with("127.") || relay.starts_with("localhost[") ||
         relay.find("[127.") != std::string_view::npos ||
         relay.find("[::1]") != std::string_view::npos;
}

std::optional<DeliveryLine> delivery_in(std::string_view line) {
  const std::string_view message = after(line, "]: ");
  DeliveryLine out;
  out.id = upto(message, ":");
  const std::string_view rest = message.substr(std::min(message.size(), out.id.size()));
  if (!rest.starts_with(": to=<")) return std::nullopt;
  out.to = upto(after(rest, "<"), ">");
  const std::string_view status = after(rest, ", status=");
  const auto state = state_named(upto(status, " "));
  if (!state) return std::nullopt;
  out.state = *state;
  constexpr std::string_view kQueuedAs = "queued as ";
  const auto queued = status.rfind(kQueuedAs);
  if (queued != std::string_view::npos && is_this_host(upto(after(rest, ", relay="), ","))) {
    out.next_id = upto(status.substr(queued + kQueuedAs.size()), ")");
  }
  return out;
}

}  // namespace

std::string deliveries_text(const Deliveries& deliveries) {
  const std::uint64_t all = deliveries.sent + deliveries.deferred + deliveries.bounced;
  std::string out;
  const auto add = [&](std::uint64_t number, const char* word) {
    if (number == 0) return;
    out += out.empty() ? "" : ", ";
    out += number == all ? word : fmt::format("{} {}", number, word);
  };
  add(deliveries.sent, "sent");
  add(deliveries.deferred, "deferred");
  add(deliveries.bounced, "bounced");
  return out;
}

policyd::Result<std::optional<MailLog>> MailLog::open(const std::optional<std::string>& given) {
  const auto try_file = [](const std::string& file) -> policyd::Result<std::optional<MailLog>> {
    policyd::UniqueFd fd{::open(file.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)};
    struct stat status {};
    const int code = !fd || ::fstat(fd.get(), &status) != 0 ? errno : 0;
    if (code == 0 && S_ISREG(status.st_mode)) {
      return MailLog{file, std::move(fd), static_cast<std::size_t>(status.st_size)};
    }
    return policyd::failure(
        fmt::format("cannot read the mail log {}: {}", shown(file),
                    code == 0 ? "it is not a file" : std::generic_category().message(code)));
  };
  if (given) return try_file(*given);
  for (const char* file : kUsual) {
    if (auto log = try_file(file)) return log;
  }
  return std::nullopt;
}

// Longer lines are passed over, and so is the rest of one of which the beginning is not read.
void MailLog::each_line(const std::function<void(std::string_view)>& take) const {
  std::string text;
  std::size_t at = size_ - std::min(size_, kMaxBytes);
  bool whole = at == 0;
  while (at < size_) {
    const std::size_t kept = text.size();
    text.resize(kept + std::min(kBlock, size_ - at));
    const ssize_t got =
        ::pread(fd_.get(), text.data() + kept, text.size() - kept, static_cast<off_t>(at));
    if (got <= 0) return;  // it was truncated meanwhile
    text.resize(kept + static_cast<std::size_t>(got));
    at += static_cast<std::size_t>(got);
    std::size_t begin = 0;
    for (std::size_t end = 0; (end = text.find('\n', begin)) != std::string::npos;
         begin = end + 1) {
      if (whole) take(std::string_view{text}.substr(begin, end - begin));
      whole = true;
    }
    text.erase(0, begin);
    if (text.size() <= kMaxLine) continue;
    text.clear();
    whole = false;
  }
}

std::unordered_map<std::string, Deliveries> MailLog::deliveries_of(
    const std::vector<std::string>& queue_ids) const {
  std::unordered_map<std::string, std::size_t> messages;  // also under later queue IDs
  for (std::size_t i = 0; i < queue_ids.size(); ++i) messages.try_emplace(queue_ids[i], i);
  // What happened last to each recipient: of a message, by address.
  std::vector<std::unordered_map<std::string, DeliveryState>> states;
  // A later queue ID may be in the log before the line that tells of it.
  std::size_t known = 0;
  for (std::size_t pass = 0; pass < kMaxPasses && known != messages.size(); ++pass) {
    known = messages.size();
    states.assign(queue_ids.size(), {});
    std::size_t recipients = 0;
    each_line([&](std::string_view line) {
      const auto delivery = delivery_in(line);
      if (!delivery) return;
      const auto message = messages.find(std::string{delivery->id});
      if (message == messages.end()) return;
      if (!delivery->next_id.empty()) {
        if (messages.size() < kMaxIds) {
          messages.try_emplace(std::string{delivery->next_id}, message->second);
        }
        return;
      }
      auto& of_message = states[message->second];
      const auto recipient = of_message.find(std::string{delivery->to});
      if (recipient != of_message.end()) {
        recipient->second = delivery->state;
      } else if (recipients++ < kMaxRecipients) {
        of_message.emplace(delivery->to, delivery->state);
      }
    });
  }
  std::unordered_map<std::string, Deliveries> out;
  for (std::size_t i = 0; i < states.size(); ++i) {
    if (states[i].empty()) continue;
    Deliveries& deliveries = out[queue_ids[i]];
    for (const auto& [to, state] : states[i]) {
      ++(state == DeliveryState::sent       ? deliveries.sent
         : state == DeliveryState::deferred ? deliveries.deferred
                                            : deliveries.bounced);
    }
  }
  return out;
}

}  // namespace limits
