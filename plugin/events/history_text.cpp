// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/events/history_text.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "plugin/events/since.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/usage/counted_name.hpp"
#include "plugin/usage/headlines.hpp"

namespace limits {
namespace {

constexpr std::string_view kBounces = "<>";

std::string found_text(const Tallies& tallies, std::string_view noun) {
  return tallies.more() ? fmt::format("more than {}", counted(tallies.size(), noun))
                        : counted(tallies.size(), noun);
}

// "anna@example.org: 3 messages (12 KiB) to 5 recipients since ..., from 1 client, under 2 sender
// names; 1 refused."
std::string sentence(const HistoryView& view) {
  const History& history = view.history;
  const std::string since = local_time_text(history.read_since.value_or(view.question.since));
  const std::string name = shown(view.who.name());
  if (history.all.messages == 0 && history.all.refused == 0) {
    return fmt::format("{}: nothing was sent or refused since {}.", name, since);
  }
  return fmt::format("{}: {} ({}) to {} since {}, from {}, under {}; {} refused.", name,
                     counted(history.all.messages, "message"), size_text(history.all.kib),
                     counted(history.all.recipients, "recipient"), since,
                     found_text(history.clients, "client"),
                     found_text(history.senders, "sender name"), history.all.refused);
}

std::vector<Cell> cells_of(std::vector<Cell> cells, const Tally& tally) {
  for (const std::uint64_t number : {tally.messages, tally.recipients}) {
    cells.push_back({fmt::format("{}", number)});
  }
  cells.push_back({size_text(tally.kib)});
  cells.push_back({fmt::format("{}", tally.refused)});
  return cells;
}

std::vector<Column> columns_of(std::vector<Column> columns) {
  for (const char* title : {"MESSAGES", "RECIPIENTS", "SIZE", "REFUSED"}) {
    columns.push_back({title, true});
  }
  return columns;
}

void print_more(std::size_t all, bool even_more, std::size_t top, Output& output) {
  if (all <= top && !even_more) return;
  output.line(
      fmt::format("and {}{} more", even_more ? "more than " : "", all - std::min(all, top)));
}

void print_steps(const HistoryView& view, Output& output) {
  const bool by_day = view.question.by_day;
  Table table{columns_of({{by_day ? "DAY" : "HOUR"}})};
  std::size_t left = view.top;
  const auto& steps = view.history.over_time;
  for (auto step = steps.rbegin(); step != steps.rend() && left > 0; ++step, --left) {
    // "2026-11-26 09:00:00" without what is always the same
    const std::string text = local_time_text(step->first);
    table.add(cells_of({{by_day ? text.substr(0, 10) : text.substr(0, 16)}}, step->second));
  }
  output.line("");
  output.print(table);
  print_more(steps.size(), false, view.top, output);
}

std::string name_text(const std::string& name, std::string_view for_none) {
  if (name == kBounces) return "<> (bounces)";
  return name.empty() ? std::string{for_none} : name;
}

void print_names(const HistoryView& view, const Tallies& tallies, const char* title,
                 const char* detail, std::string_view for_none, Output& output) {
  std::vector<Column> columns = {{title, false, Shrinks::last}};
  if (detail != nullptr) columns.push_back({detail, false, Shrinks::first});
  columns = columns_of(std::move(columns));
  columns.push_back({"LAST"});
  Table table{std::move(columns)};
  auto sorted = tallies.sorted();
  if (sorted.size() > view.top) sorted.resize(view.top);
  for (const auto& [name, of] : sorted) {
    std::vector<Cell> cells = {{name_text(name, for_none)}};
    if (detail != nullptr) cells.push_back({of.detail});
    cells = cells_of(std::move(cells), of.tally);
    cells.push_back({short_time_text(of.tally.last, view.now)});
    table.add(std::move(cells));
  }
  output.line("");
  output.print(table);
  print_more(tallies.size(), tallies.more(), view.top, output);
}

void print_latest(const HistoryView& view, Output& output) {
  const auto& latest = view.history.latest;
  const bool became = std::any_of(latest.begin(), latest.end(),
                                  [](const SentMessage& sent) { return sent.became.has_value(); });
  std::vector<Column> columns = {{"TIME"},
                                 {"QUEUE ID", false, Shrinks::last},
                                 {"FROM", false, Shrinks::last},
                                 {"TO", false, Shrinks::last},
                                 {"RECIPIENTS", true},
                                 {"SIZE", true}};
  if (became) columns.push_back({"BECAME"});
  Table table{std::move(columns)};
  for (const SentMessage& sent : latest) {
    std::vector<Cell> cells = {{short_time_text(sent.at, view.now)},
                               {sent.queue_id},
                               {sent.sender.empty() ? std::string{kBounces} : sent.sender},
                               {sent.recipient},
                               {fmt::format("{}", sent.recipients)},
                               {size_text(sent.kib)}};
    if (became) cells.push_back({sent.became ? deliveries_text(*sent.became) : "unknown"});
    table.add(std::move(cells));
  }
  if (table.empty()) return;
  output.line("");
  output.print(table);
  print_more(view.history.all.messages, false, latest.size(), output);
  if (view.mail_log != nullptr && view.mail_log->is_cut()) {
    output.note(fmt::format("only the last {} MiB of {} were read.", DeliveryLog::kMaxBytes >> 20U,
                            escaped(view.mail_log->name())));
  }
  if (const auto note = mail_log_note(view); !note.empty()) output.note(note);
}

nlohmann::json with_tally(nlohmann::json out, const Tally& tally) {
  out["messages"] = tally.messages;
  out["recipients"] = tally.recipients;
  out["size_kib"] = tally.kib;
  out["refused"] = tally.refused;
  return out;
}

nlohmann::json names_json(const Tallies& tallies, const char* key, std::size_t top) {
  nlohmann::json list = nlohmann::json::array();
  auto sorted = tallies.sorted();
  if (sorted.size() > top) sorted.resize(top);
  for (const auto& [name, of] : sorted) {
    nlohmann::json entry = with_tally({{key, name},
                                       {"first", policyd::to_seconds(of.tally.first)},
                                       {"last", policyd::to_seconds(of.tally.last)}},
                                      of.tally);
    if (!of.detail.empty()) entry["client_name"] = of.detail;
    list.push_back(std::move(entry));
  }
  return {{"found", tallies.size()}, {"more", tallies.more()}, {"list", std::move(list)}};
}

nlohmann::json deliveries_or_null(const std::optional<Deliveries>& deliveries) {
  if (!deliveries) return nullptr;
  return {{"sent", deliveries->sent},
          {"deferred", deliveries->deferred},
          {"bounced", deliveries->bounced}};
}

nlohmann::json seconds_or_null(const std::optional<policyd::TimePoint>& time) {
  return time ? nlohmann::json(policyd::to_seconds(*time)) : nlohmann::json(nullptr);
}

}  // namespace

std::string size_text(std::uint64_t kib) {
  constexpr std::uint64_t kStep = 1024;
  constexpr std::array<const char*, 4> kUnits = {"KiB", "MiB", "GiB", "TiB"};
  if (kib < kStep) return fmt::format("{} KiB", kib);
  double size = static_cast<double>(kib);
  std::size_t unit = 0;
  // 1023.95 would be written as 1024.0.
  while (size >= 1023.95 && unit + 1 < kUnits.size()) {
    size /= static_cast<double>(kStep);
    ++unit;
  }
  return fmt::format("{:.1f} {}", size, kUnits.at(unit));
}

std::string mail_log_note(const HistoryView& view) {
  if (view.mail_log == nullptr || view.history.mail_log_problem.empty()) return {};
  return fmt::format("{}: {}.", escaped(view.mail_log->name()), view.history.mail_log_problem);
}

Result<std::string> history_sentence(const Tables& tables, const policyd::Config& config,
                                     std::string_view name, std::vector<std::string> others,
                                     const HistoryQuestion& question, policyd::TimePoint now) {
  const OwnExtensions own = read_extensions(tables, config);
  const SentBy who{name, own.extensions, std::move(others)};
  const auto history = read_history(tables, who, question);
  if (!history) return tl::unexpected{history.error()};
  return sentence(HistoryView{*history, question, who, now, 0, nullptr});
}

void print_history(const HistoryView& view, Output& output) {
  const History& history = view.history;
  print_wrapped(output, {}, {sentence(view)});
  if (history.all.messages != 0 || history.all.refused != 0) {
    print_steps(view, output);
    print_names(view, history.clients, "CLIENT", "NAME", "unknown", output);
    print_names(view, history.senders, "SENDER NAME", nullptr, "", output);
    const auto logins = history.logins.sorted();
    if (logins.size() > 1 || logins.front().first != view.who.name()) {
      print_names(view, history.logins, "LOGIN", nullptr, "(without login)", output);
    }
    print_latest(view, output);
  }
  if (history.read_since) {
    output.note(fmt::format("only the latest {} messages of this host were read, back to {}.",
                            view.question.max_rows, local_time_text(*history.read_since)));
  } else if (!history.kept_since) {
    output.note("no messages are remembered: the daemon has written none to session_tracking.");
  } else if (*history.kept_since > view.question.since) {
    output.note(
        fmt::format("no messages before {} are remembered.", local_time_text(*history.kept_since)));
  }
}

nlohmann::json json_of(const HistoryView& view) {
  const History& history = view.history;
  nlohmann::json steps = nlohmann::json::array();
  std::size_t left = view.top;
  for (auto step = history.over_time.rbegin(); step != history.over_time.rend() && left > 0;
       ++step, --left) {
    steps.push_back(with_tally({{"begin", policyd::to_seconds(step->first)}}, step->second));
  }
  nlohmann::json latest = nlohmann::json::array();
  for (const SentMessage& sent : history.latest) {
    latest.push_back({{"time", policyd::to_seconds(sent.at)},
                      {"queue_id", sent.queue_id},
                      {"sender", sent.sender},
                      {"login", sent.login},
                      {"client", sent.client},
                      {"recipient", sent.recipient},
                      {"recipients", sent.recipients},
                      {"size_kib", sent.kib},
                      {"became", deliveries_or_null(sent.became)}});
  }
  return with_tally(
      {{"now", policyd::to_seconds(view.now)},
       {"who", view.who.name()},
       {"since", policyd::to_seconds(history.read_since.value_or(view.question.since))},
       {"kept_since", seconds_or_null(history.kept_since)},
       {"step", view.question.by_day ? "day" : "hour"},
       {"steps", std::move(steps)},
       {"clients", names_json(history.clients, "client", view.top)},
       {"senders", names_json(history.senders, "sender", view.top)},
       {"logins", names_json(history.logins, "login", view.top)},
       {"latest", std::move(latest)},
       {"mail_log", view.mail_log == nullptr ? nlohmann::json(nullptr)
                                             : nlohmann::json(view.mail_log->name())}},
      history.all);
}

}  // namespace limits
