// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/maillog/delivery_log.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <optional>
#include <string_view>
#include <system_error>

#include "daemon/base/lru_table.hpp"
#include "daemon/names/name_form.hpp"
#include "plugin/maillog/log_stamp.hpp"
#include "plugin/maillog/postfix_line.hpp"
#include "plugin/maillog/who_may_read.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

constexpr std::size_t kMaxPasses = 5;  // filters, one after another
constexpr std::uint64_t kShowEvery = 16'384;

enum class DeliveryState : std::uint8_t { sent, deferred, bounced };

std::optional<DeliveryState> state_named(std::string_view word) {
  if (word == "sent") return DeliveryState::sent;
  if (word == "deferred") return DeliveryState::deferred;
  if (word == "bounced" || word == "expired") return DeliveryState::bounced;
  return std::nullopt;  // of an address that is only verified
}

std::optional<PostfixLine> postfix_line_in(std::string_view line, LogStamps& stamps) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  const auto stamp = stamps.parse(line);
  const SyslogLine parts = stamp ? parse_syslog(line.substr(stamp->size)) : SyslogLine{};
  if (!is_postfix(parts.program)) return std::nullopt;
  return parse_postfix(parts.program, parts.text);
}

std::string error_text(int code) { return std::generic_category().message(code); }

// What the lines of the log say about some messages. A later queue ID may be in the log before the
// line that tells of it, so the log is read again while new ones are found.
class Search {
 public:
  explicit Search(const std::vector<std::string>& queue_ids) : queue_ids_(queue_ids) {
    for (std::size_t i = 0; i < queue_ids.size(); ++i)
      by_id_.try_emplace(queue_ids[i], Known{i, 0});
  }

  [[nodiscard]] std::size_t known_ids() const { return by_id_.size(); }

  void begin_again() {
    states_.assign(queue_ids_.size(), {});
    recipients_ = 0;
    in_queue_.clear();
  }

  void take(const PostfixLine& line) {
    if (line.event == PostfixEvent::received) return take_received(line);
    if (line.event != PostfixEvent::message_id && line.event != PostfixEvent::queued &&
        line.event != PostfixEvent::delivered && line.event != PostfixEvent::removed) {
      return;
    }
    const auto known = by_id_.find(std::string{line.queue_id});
    if (known == by_id_.end()) return take_unknown(line);
    if (line.event == PostfixEvent::message_id) {
      known->second.message_id = hash_of_text(line.message_id);
      in_queue_[known->second.message_id] = {known->second.message, {}};
    }
    if (line.event == PostfixEvent::queued) {
      const auto queued = in_queue_.find(known->second.message_id);
      if (queued != in_queue_.end()) queued->second.sender = policyd::address_form(line.sender);
    }
    // Mail with the same Message-ID that comes later, such as a user's redirection, is another one.
    if (line.event == PostfixEvent::removed) in_queue_.erase(known->second.message_id);
    if (line.event == PostfixEvent::delivered) take_delivery(known->second.message, line);
  }

  [[nodiscard]] std::unordered_map<std::string, Deliveries> found() const {
    std::unordered_map<std::string, Deliveries> out;
    for (std::size_t i = 0; i < states_.size(); ++i) {
      if (states_[i].empty()) continue;
      Deliveries& deliveries = out[queue_ids_[i]];
      for (const auto& [to, state] : states_[i]) {
        ++(state == DeliveryState::sent       ? deliveries.sent
           : state == DeliveryState::deferred ? deliveries.deferred
                                              : deliveries.bounced);
      }
    }
    return out;
  }

 private:
  struct Known {
    std::size_t message = 0;  // of those that are searched
    std::size_t message_id = 0;
  };
  struct Queued {
    std::size_t message = 0;
    std::optional<std::string> sender;  // once it is known
  };
  struct FromHere {
    std::string queue_id;
    std::size_t message_id = 0;
  };

  static std::size_t hash_of_text(std::string_view text) {
    return std::hash<std::string_view>{}(text);
  }

  // From this host itself, as a filter gives mail back.
  void take_received(const PostfixLine& line) {
    if (!is_loopback(line.client) || !line.login.empty()) return;
    const std::size_t hash = hash_of_text(line.queue_id);
    if (from_here(line.queue_id) != nullptr) return;
    if (from_here_.size() >= DeliveryLog::kMaxIds) from_here_.drop_oldest();
    from_here_.add(hash) = {std::string{line.queue_id}, 0};
  }

  FromHere* from_here(std::string_view queue_id) {
    return from_here_.find(hash_of_text(queue_id),
                           [&](const FromHere& each) { return each.queue_id == queue_id; });
  }

  // Of this Message-ID and this sender: anybody may write a Message-ID.
  void take_unknown(const PostfixLine& line) {
    if (line.event != PostfixEvent::message_id && line.event != PostfixEvent::queued) return;
    FromHere* const mail = from_here(line.queue_id);
    if (mail == nullptr) return;
    if (line.event == PostfixEvent::message_id) {
      mail->message_id = hash_of_text(line.message_id);
      return;
    }
    const auto first = in_queue_.find(mail->message_id);
    if (first == in_queue_.end() || first->second.sender != policyd::address_form(line.sender)) {
      return;
    }
    add_id(line.queue_id, first->second.message);
  }

  void add_id(std::string_view queue_id, std::size_t message) {
    if (by_id_.size() < DeliveryLog::kMaxIds) {
      by_id_.try_emplace(std::string{queue_id}, Known{message, 0});
    }
  }

  void take_delivery(std::size_t message, const PostfixLine& line) {
    const auto state = state_named(line.status);
    if (!state) return;
    if (!line.queued_as.empty()) return add_id(line.queued_as, message);
    auto& of_message = states_[message];
    const auto recipient = of_message.find(std::string{line.delivered_to});
    if (recipient != of_message.end()) {
      recipient->second = *state;
    } else if (recipients_++ < DeliveryLog::kMaxRecipients) {
      of_message.emplace(line.delivered_to, *state);
    }
  }

  const std::vector<std::string>& queue_ids_;
  std::unordered_map<std::string, Known> by_id_;  // also under later queue IDs
  // What happened last to each recipient: of a message, by address.
  std::vector<std::unordered_map<std::string, DeliveryState>> states_;
  std::size_t recipients_ = 0;
  std::unordered_map<std::size_t, Queued> in_queue_;  // by Message-ID
  policyd::LruTable<FromHere> from_here_;
};

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

Result<DeliveryLog> DeliveryLog::open_file(const std::string& file) {
  const auto cannot = [&](const std::string& why) {
    return policyd::failure(fmt::format("cannot read the mail log {}: {}", shown(file), why));
  };
  DeliveryLog out{file, policyd::UniqueFd{::open(file.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)}};
  struct stat about {};
  if (!out.fd_ || ::fstat(out.fd_.get(), &about) != 0) {
    const int code = errno;
    return cannot(error_text(code) + (code == EACCES ? advice_to_read(file) : std::string{}));
  }
  if (!S_ISREG(about.st_mode)) return cannot("it is not a file");
  out.size_ = static_cast<std::uint64_t>(about.st_size);
  out.written_ = policyd::TimePoint{std::chrono::seconds{about.st_mtim.tv_sec}};
  const auto lines = out.lines();
  if (!lines) return cannot(lines.error().message);
  out.is_cut_ = lines->is_cut();
  return out;
}

Result<std::optional<DeliveryLog>> DeliveryLog::open(const std::optional<std::string>& given) {
  if (given) {
    auto log = open_file(*given);
    if (!log) return tl::unexpected{log.error()};
    return std::optional{std::move(*log)};
  }
  for (const char* file : kUsual) {
    if (auto log = open_file(file)) return std::optional{std::move(*log)};
  }
  return std::nullopt;
}

// From the beginning of what is read; the file stays open for another reading.
Result<LogLines> DeliveryLog::lines() const {
  policyd::UniqueFd copy{::dup(fd_.get())};
  if (!copy || ::lseek(copy.get(), 0, SEEK_SET) < 0) return policyd::failure(error_text(errno));
  auto bytes = LogBytes::open(std::move(copy), kMaxBytes);
  if (!bytes) return tl::unexpected{bytes.error()};
  return LogLines{std::move(*bytes)};
}

DeliveryLog::Found DeliveryLog::deliveries_of(
    const std::vector<std::string>& queue_ids,
    const std::function<void(std::uint64_t, std::uint64_t)>& progress) const {
  Found out;
  Search search{queue_ids};
  std::size_t known = 0;
  bool has_postfix = queue_ids.empty();  // then nothing is read
  for (std::size_t pass = 0; pass < kMaxPasses && known != search.known_ids(); ++pass) {
    known = search.known_ids();
    search.begin_again();
    auto lines = this->lines();
    if (!lines) {
      out.problem = lines.error().message;
      return out;
    }
    LogStamps stamps{written_};
    std::uint64_t number = 0;
    while (const auto line = lines->next()) {
      if (lines->unfinished()) break;
      const auto of_postfix = postfix_line_in(*line, stamps);
      has_postfix = has_postfix || of_postfix;
      if (of_postfix) search.take(*of_postfix);
      if (progress && ++number % kShowEvery == 0) progress(lines->position(), size_);
    }
    out.problem = lines->problem();
  }
  if (!out.problem.empty()) {
    out.problem += "; what comes before that was read";
  } else if (!has_postfix) {
    out.problem = "it has no line of Postfix, so what became of the messages is not known";
  }
  out.by_id = search.found();
  return out;
}

}  // namespace limits
