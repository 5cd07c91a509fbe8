// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/simulate/simulate_text.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "daemon/base/shell_words.hpp"
#include "plugin/events/since.hpp"
#include "plugin/limit/rate_spec.hpp"
#include "plugin/limit_text/limit_line.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/usage/headlines.hpp"
#include "plugin/usage/track_key.hpp"

namespace limits {
namespace {

constexpr std::size_t kBarWidth = 8;

std::string counted_of(std::uint64_t number, std::string_view noun) {
  return grouped(number) + (number == 1 ? fmt::format(" {}", noun) : fmt::format(" {}s", noun));
}

std::string span_text(policyd::Millis span) {
  using Minute = std::chrono::duration<double, std::ratio<60>>;
  using Hour = std::chrono::duration<double, std::ratio<3'600>>;
  using Day = std::chrono::duration<double, std::ratio<86'400>>;
  if (span >= Day{1}) return fmt::format("{:.1f} days", Day{span}.count());
  if (span >= Hour{1}) return fmt::format("{:.1f} hours", Hour{span}.count());
  if (span >= Minute{1}) {
    return counted(static_cast<std::size_t>(std::lround(Minute{span}.count())), "minute");
  }
  return "less than a minute";
}

std::string peak_text(const TriedAccount& account) {
  return format_amount(account.rate.unit, static_cast<std::int64_t>(std::ceil(account.peak)));
}

std::string line_or_description(const StoredLimit& limit) {
  const auto wanted = wanted_of(limit);
  return wanted ? line_of(*wanted) : describe(limit);
}

void print_limits(const SimulateView& view, Output& output) {
  constexpr std::size_t kShown = 10;
  for (std::size_t i = 0; i < view.limits.size() && i < kShown; ++i) {
    output.line({view.limits.size() == 1 ? "Limit: " : fmt::format("Limit {}: ", view.limits[i].id),
                 Colour::bold},
                {line_or_description(view.limits[i])});
  }
  if (view.limits.size() > kShown) {
    output.line(fmt::format("and {} more limits", view.limits.size() - kShown));
  }
}

std::string fate_text(const SimulateView& view) {
  const TriedLimits& tried = view.tried;
  const std::uint64_t never = tried.hit - tried.late;
  if (tried.late == 0) {
    const bool defers =
        std::all_of(view.limits.begin(), view.limits.end(), [](const StoredLimit& limit) {
          return verdict_word(limit.verdict) == policyd::name_of(policyd::Action::defer);
        });
    return fmt::format(
        "None of them would have come later: {}mail programs and web mail do not retry.",
        defers ? "" : "rejected mail is not tried again, and ");
  }
  const auto minutes = std::chrono::ceil<std::chrono::minutes>(view.replay.longest_wait).count();
  constexpr std::int64_t kHour = 60;
  return fmt::format("{} would have come late (by up to {}), {} not at all.", grouped(tried.late),
                     minutes < 2 * kHour ? fmt::format("{} min", minutes)
                                         : fmt::format("{} h", (minutes + kHour - 1) / kHour),
                     grouped(never));
}

std::string hit_text(const TriedAccount& account) {
  if (account.hit == 0) return "-";
  if (account.mails == 0) return fmt::format("{}", account.hit);
  return fmt::format("{} ({})", account.hit, share_text(account.hit, account.mails));
}

// Limits per message count nothing, and know no accounts but those they refuse.
bool are_of_each_message(const std::vector<StoredLimit>& limits) {
  return std::all_of(limits.begin(), limits.end(), [](const StoredLimit& limit) {
    return std::all_of(limit.rates.begin(), limit.rates.end(),
                       [](const StoredRate& rate) { return is_of_each_message(rate.rate.unit); });
  });
}

void print_accounts(const SimulateView& view, Output& output) {
  const bool several = view.limits.size() > 1;
  const bool bars = output.style().terminal;
  std::vector<Column> columns = {{"WHO", false, Shrinks::last}};
  if (several) columns.push_back({"ID", true});
  columns.push_back({"LIMIT"});
  columns.push_back({"PEAK", true});
  if (bars) columns.push_back({""});
  for (const char* title : {"MAILS", "REFUSED", "LATE"}) columns.push_back({title, true});
  columns.push_back({"FIRST"});
  Table table{std::move(columns)};
  std::size_t left = view.top;
  for (const TriedAccount& account : view.tried.accounts) {
    if (left-- == 0) break;
    std::vector<Cell> cells = {{key_text(account.key)}};
    if (several) cells.push_back({fmt::format("{}", account.limit)});
    const Colour colour = account.hit > 0           ? Colour::red
                          : account.percent() >= 80 ? Colour::yellow
                                                    : Colour::none;
    cells.push_back({format_rate(account.rate)});
    cells.push_back({peak_text(account), colour});
    if (bars) cells.push_back({bar(account.percent(), kBarWidth), colour});
    cells.push_back({account.mails == 0 ? std::string{"-"} : fmt::format("{}", account.mails)});
    cells.push_back({hit_text(account), colour});
    cells.push_back({account.hit == 0 ? std::string{"-"} : fmt::format("{}", account.late)});
    cells.push_back(
        {account.hit == 0 ? std::string{"-"} : short_time_text(account.first_hit, view.now)});
    table.add(std::move(cells));
  }
  if (table.empty()) return;
  output.line("");
  output.print(table);
  const std::size_t all = view.tried.accounts.size();
  if (all > view.top) {
    output.line(fmt::format(
        "and {} more, {} (--top shows more)", all - view.top,
        view.tried.accounts_hit > view.top ? "some of them hit, too" : "none of them hit"));
  }
}

void print_mails(const SimulateView& view, Output& output) {
  Table table{{{"TIME"},
               {"FROM", false, Shrinks::last},
               {"TO", false, Shrinks::last},
               {"WHAT BECOMES OF IT"}}};
  for (const Hit& hit : view.replay.hits) {
    const LoggedMail& mail = view.mails.all[hit.mail];
    table.add({{local_time_text(hit.time)},
               {std::string{view.mails.names.text(mail.sender)}},
               {std::string{view.mails.names.text(hit.recipient)}},
               {hit.late() ? "late, " + local_time_text(hit.passed) : std::string{"refused"}}});
  }
  if (table.empty()) return;
  output.line("");
  output.print(table);
}

std::string csv_cell(std::string_view text) {
  std::string plain = escaped(text);
  // A spreadsheet would run it as a formula.
  if (!plain.empty() && std::string_view{"=+-@"}.find(plain[0]) != std::string_view::npos) {
    plain.insert(0, 1, '\'');
  }
  if (plain.find_first_of(",\"") == std::string::npos) return plain;
  std::string out = "\"";
  for (const char c : plain) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + '"';
}

nlohmann::json seconds_or_nothing(policyd::TimePoint time) {
  return time == policyd::TimePoint{} ? nlohmann::json(nullptr)
                                      : nlohmann::json(policyd::to_seconds(time));
}

nlohmann::json account_json(const TriedAccount& account) {
  return {{"who", key_text(account.key)},
          {"key", account.key},
          {"id", account.limit},
          {"rate", format_rate(account.rate)},
          {"limit", account.rate.amount},
          {"peak", account.peak},
          {"peak_at", seconds_or_nothing(account.peak_at)},
          {"mails", account.mails == 0 ? nlohmann::json(nullptr) : nlohmann::json(account.mails)},
          {"refused", account.hit},
          {"late", account.late},
          {"first", seconds_or_nothing(account.first_hit)}};
}

}  // namespace

std::string grouped(std::uint64_t number) {
  std::string out = fmt::format("{}", number);
  for (std::size_t at = out.size(); at > 3; at -= 3) out.insert(at - 3, ",");
  return out;
}

std::string share_text(std::uint64_t part, std::uint64_t whole) {
  if (part == 0 || whole == 0) return "0 %";
  const double percent = static_cast<double>(part) * 100 / static_cast<double>(whole);
  constexpr double kLeast = 0.1;
  constexpr double kWhole = 10;
  if (percent < kLeast) return "<0.1 %";
  return percent < kWhole ? fmt::format("{:.1f} %", percent) : fmt::format("{:.0f} %", percent);
}

std::string source_text(const PastMail& mail, const Replay& replay) {
  if (replay.recipients == 0) return fmt::format("there is no mail in {}", mail.source);
  return fmt::format("{} of mail in {}, {} to {}: {} to {}", span_text(mail.last - mail.first),
                     mail.source, local_time_text(mail.first), local_time_text(mail.last),
                     counted_of(replay.messages, "message"),
                     counted_of(replay.recipients, "recipient"));
}

std::optional<std::string> note_on_watching(const std::vector<StoredLimit>& limits, bool alone) {
  std::string ids;
  const StoredLimit* first = nullptr;
  std::size_t number = 0;
  for (const StoredLimit& limit : limits) {
    if (!limit.only_monitors()) continue;
    if (number++ == 0) first = &limit;
    ids += fmt::format("{}{}", ids.empty() ? "" : ", ", limit.id);
  }
  if (first == nullptr) return std::nullopt;
  if (alone) {
    return fmt::format(
        "shown is what the limit would refuse with verdict {}; with none it only counts",
        policyd::name_of(default_verdict(first->what.direction.value_or(Direction::send))));
  }
  return fmt::format(
      "{} {} with verdict none refused nothing; 'carbonio-limits simulate set {} {}' "
      "shows what {} would refuse",
      of_number(number, "limit", "limits"), ids, first->id,
      policyd::shell_word(format_limit(first->plain_rates())),
      number == 1 ? std::string{"it"} : fmt::format("limit {}", first->id));
}

void print_notes(const PastMail& mail, Output& output) {
  for (const std::string& note : mail.notes) output.note(note + ".");
}

void print_simulation(const SimulateView& view, Output& output) {
  print_limits(view, output);
  print_wrapped(output, {"Mail: "}, {source_text(view.mail, view.replay) + "."});
  const TriedLimits& tried = view.tried;
  const bool counts = !are_of_each_message(view.limits);
  if (view.replay.recipients != 0 && tried.hit == 0) {
    const std::string with_mail = counts ? fmt::format("; {} had mail that counts",
                                                       counted_of(tried.accounts.size(), "account"))
                                         : std::string{};
    print_wrapped(output, {}, {fmt::format("None of it would have been refused{}.", with_mail)});
  } else if (tried.hit != 0) {
    const std::string accounts = counts
                                     ? fmt::format("{} of {} accounts", grouped(tried.accounts_hit),
                                                   grouped(tried.accounts.size()))
                                     : counted_of(tried.accounts_hit, "account");
    print_wrapped(
        output, {},
        {fmt::format("It would have refused {} ({}) of {}, first on {}. {}",
                     counted_of(tried.hit, "mail"), share_text(tried.hit, view.replay.recipients),
                     accounts, local_time_text(tried.first_hit), fate_text(view))});
  }
  print_accounts(view, output);
  if (view.list_mails) print_mails(view, output);
  print_notes(view.mail, output);
}

void print_csv(const SimulateView& view, Output& output) {
  output.text("who,id,rate,limit,peak,mails,refused,late,first\n");
  for (std::size_t i = 0; i < view.tried.accounts.size() && i < view.top; ++i) {
    const TriedAccount& account = view.tried.accounts[i];
    output.text(
        fmt::format("{},{},{},{},{},{},{},{},{}\n", csv_cell(key_text(account.key)), account.limit,
                    format_rate(account.rate), account.rate.amount, std::ceil(account.peak),
                    account.mails == 0 ? "" : fmt::format("{}", account.mails), account.hit,
                    account.late, account.hit == 0 ? "" : local_time_text(account.first_hit)));
  }
}

nlohmann::json json_of(const SimulateView& view) {
  nlohmann::json accounts = nlohmann::json::array();
  for (std::size_t i = 0; i < view.tried.accounts.size() && i < view.top; ++i) {
    accounts.push_back(account_json(view.tried.accounts[i]));
  }
  nlohmann::json lines = nlohmann::json::array();
  for (const StoredLimit& limit : view.limits) lines.push_back(line_or_description(limit));
  nlohmann::json out = {
      {"now", policyd::to_seconds(view.now)},
      {"limits", std::move(lines)},
      {"source", view.mail.source},
      {"from", seconds_or_nothing(view.mail.first)},
      {"until", seconds_or_nothing(view.mail.last)},
      {"lines", view.mail.lines},
      {"unreadable", view.mail.unreadable},
      {"notes", view.mail.notes},
      {"messages", view.replay.messages},
      {"recipients", view.replay.recipients},
      {"refused", view.tried.hit},
      {"late", view.tried.late},
      {"longest_wait", static_cast<double>(view.replay.longest_wait.count()) / 1000},
      {"first", seconds_or_nothing(view.tried.first_hit)},
      {"found", view.tried.accounts.size()},
      {"hit", view.tried.accounts_hit},
      {"accounts", std::move(accounts)}};
  if (!view.list_mails) return out;
  nlohmann::json mails = nlohmann::json::array();
  for (const Hit& hit : view.replay.hits) {
    const LoggedMail& mail = view.mails.all[hit.mail];
    mails.push_back({{"time", policyd::to_seconds(hit.time)},
                     {"sender", view.mails.names.text(mail.sender)},
                     {"login", view.mails.names.text(mail.login)},
                     {"client", view.mails.names.text(mail.client)},
                     {"recipient", view.mails.names.text(hit.recipient)},
                     {"tries", hit.tries},
                     {"passed", seconds_or_nothing(hit.passed)}});
  }
  out["mails"] = std::move(mails);
  return out;
}

}  // namespace limits
