// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/answers/bounces.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <utility>

#include "daemon/base/read_file.hpp"
#include "daemon/base/replace_file.hpp"
#include "plugin/answers/account_key.hpp"
#include "plugin/maillog/delivery_log.hpp"

namespace limits {
namespace {

using nlohmann::json;
using policyd::TimePoint;

constexpr std::size_t kMaxStateBytes = std::size_t{64} << 20;
constexpr mode_t kMode = 0640;
constexpr std::chrono::hours kBouncesWithin{1};

json json_of_position(const std::optional<LogPosition>& position) {
  if (!position) return nullptr;
  return {position->device, position->inode, position->offset, position->beginning};
}

json json_of_time(TimePoint time) { return time.time_since_epoch().count(); }

TimePoint time_in(const json& value) {
  return TimePoint{policyd::Millis{value.get<std::int64_t>()}};
}

BounceState bounces_of(const json& from) {
  BounceState out;
  const json& position = from.at("position");
  if (!position.is_null()) {
    out.position = {position.at(0).get<std::uint64_t>(), position.at(1).get<std::uint64_t>(),
                    position.at(2).get<std::uint64_t>(), position.at(3).get<std::uint64_t>()};
  }
  out.read_at = time_in(from.at("read_at"));
  out.problem = from.at("problem").get<std::string>();
  for (const json& each : from.at("waiting")) {
    if (out.waiting.size() == BounceState::kMaxWaiting) break;
    out.waiting.push_back({each.at(0).get<std::uint64_t>(), each.at(1).get<std::uint64_t>(),
                           each.at(2).get<bool>(), each.at(3).get<bool>(),
                           each.at(4).get<std::string>(), each.at(5).get<std::string>(),
                           each.at(6).get<std::string>()});
  }
  for (const json& each : from.at("bounced")) {
    if (out.bounced.size() == BounceState::kMaxBounced) break;
    out.bounced.push_back({each.at(0).get<std::string>(), time_in(each.at(1)),
                           each.at(2).get<std::uint64_t>(), each.at(3).get<std::string>(),
                           each.at(4).get<std::string>(), each.at(5).get<std::string>(),
                           each.at(6).get<std::string>()});
  }
  return out;
}

// Adds up what one run reads, by account.
class NewBounces {
 public:
  NewBounces(const OwnNames& own, TimePoint now) : own_(own), now_(now) {}

  void put(const Bounce& bounce) {
    const TimePoint time = std::min(bounce.time, now_);
    if (now_ - time > kBouncesWithin) return;
    const std::string key = account_key({bounce.client, bounce.login, bounce.sender}, own_);
    if (key.empty() || (found_.size() == BounceState::kMaxBounced && !places_.contains(key)))
      return;
    const auto [place, is_new] = places_.try_emplace(key, found_.size());
    if (is_new) found_.emplace_back().key = key;
    Bounced& bounced = found_[place->second];
    ++bounced.times;
    if (time < bounced.last) return;
    bounced.last = time;
    bounced.client = bounce.client;
    bounced.login = bounce.login;
    bounced.sender = bounce.sender;
    bounced.recipient = bounce.recipient;
  }
  std::vector<Bounced> take() && { return std::move(found_); }

 private:
  const OwnNames& own_;
  TimePoint now_;
  std::vector<Bounced> found_;
  std::unordered_map<std::string, std::size_t> places_;
};

std::string usual_log() {
  for (const char* file : DeliveryLog::kUsual) {
    if (::access(file, F_OK) == 0) return file;
  }
  return {};
}

}  // namespace

std::filesystem::path bounce_state_file(const std::filesystem::path& zextras_home) {
  return zextras_home / "data" / "cbpolicyd" / "bounces";
}

std::optional<BounceState> read_bounce_state(const std::filesystem::path& file) {
  const auto text = policyd::read_file(file, kMaxStateBytes);
  if (!text) return std::nullopt;
  try {
    return bounces_of(json::parse(*text, nullptr, false));
  } catch (const json::exception&) {
    return std::nullopt;
  }
}

policyd::Result<void> write_bounce_state(const std::filesystem::path& file,
                                         const BounceState& state) {
  json waiting = json::array();
  for (const MailReader::Waiting& each : state.waiting) {
    waiting.push_back({each.key, each.message_id, each.from_loopback, each.again, each.client,
                       each.login, each.sender});
  }
  json bounced = json::array();
  for (const Bounced& each : state.bounced) {
    bounced.push_back({each.key, json_of_time(each.last), each.times, each.client, each.login,
                       each.sender, each.recipient});
  }
  const json all = {{"position", json_of_position(state.position)},
                    {"read_at", json_of_time(state.read_at)},
                    {"problem", state.problem},
                    {"waiting", std::move(waiting)},
                    {"bounced", std::move(bounced)}};
  // Names of the log are any bytes.
  const std::string text = all.dump(-1, ' ', false, json::error_handler_t::replace);
  const auto done = policyd::replace_file(file, text, kMode);
  if (done) return {};
  return policyd::failure(fmt::format("cannot write {}: {}", file.string(), done.error().message));
}

BounceReader BounceReader::open(const std::string& mail_log,
                                const std::filesystem::path& state_file) {
  BounceReader out;
  out.before_ = read_bounce_state(state_file).value_or(BounceState{});
  out.problem_before_ = out.before_.problem;
  const std::string file = mail_log.empty() ? usual_log() : mail_log;
  if (file.empty()) {
    out.before_.problem =
        "there is no mail log /var/log/carbonio.log, /var/log/mail.log or /var/log/maillog";
    return out;
  }
  auto log = GrowingLog::open(file, out.before_.position, out.before_.read_at);
  if (log) {
    out.log_ = std::move(*log);
  } else {
    out.before_.problem = log.error().message;
  }
  return out;
}

BounceState BounceReader::read(const OwnNames& own, TimePoint now) const {
  BounceState out = before_;
  out.read_at = now;
  if (log_) {
    NewBounces found{own, now};
    MailReader reader{TimePoint{}, RefusalTexts{}};
    reader.resume(before_.waiting);
    reader.on_bounce([&](const Bounce& bounce) { found.put(bounce); });
    const auto position = log_->read([&](LogLines& lines) { reader.read(lines, LogStamps{now}); });
    if (position) {
      out.position = *position;
      out.problem.clear();
      const MailReader::Counts& counts = reader.counts();
      if (counts.lines > 0 && counts.unreadable == counts.lines) {
        out.problem = "the mail log has no lines of syslog";
      }
      out.waiting = reader.waiting(BounceState::kMaxWaiting);
      for (Bounced& each : std::move(found).take()) out.bounced.push_back(std::move(each));
    } else {
      // The next run reads the same lines again, so those that were read count nothing yet.
      out.problem = position.error().message;
    }
  }
  std::erase_if(out.bounced, [&](const Bounced& each) {
    return now - each.last > kBouncesWithin || each.last > now;
  });
  if (out.bounced.size() > BounceState::kMaxBounced) {
    out.bounced.erase(out.bounced.begin(),
                      out.bounced.end() - std::ptrdiff_t{BounceState::kMaxBounced});
  }
  return out;
}

}  // namespace limits
