// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/simulate/picture.hpp"

#include <fmt/chrono.h>
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>
#include <functional>
#include <iterator>
#include <map>
#include <sstream>
#include <utility>
#include <vector>

#include "plugin/terminal/markup.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/usage/headlines.hpp"
#include "plugin/usage/track_key.hpp"

namespace limits {
namespace {

constexpr int kWidth = 800;
constexpr int kLeft = 70;
constexpr int kPeaksTop = 40;
constexpr int kPeaksHeight = 220;
constexpr int kHoursTop = 330;
constexpr int kHoursLeft = 120;
constexpr int kRowHeight = 14;
constexpr std::size_t kMaxBars = 700;  // one a pixel
constexpr std::size_t kMaxDays = 62;

template <typename... Values>
void put(std::string& out, fmt::format_string<Values...> format, Values&&... values) {
  fmt::format_to(std::back_inserter(out), format, std::forward<Values>(values)...);
}

const TriedAccount* account_named(const SimulateView& view, std::string_view whose) {
  for (const TriedAccount& account : view.tried.accounts) {
    if (whose.empty() || key_text(account.key) == whose) return &account;
  }
  return nullptr;
}

// Percent of the limit, the greatest first; of many accounts each bar is the greatest of several.
std::vector<double> heights_of_bars(const TriedLimits& tried) {
  std::vector<double> all;
  all.reserve(tried.accounts.size());
  for (const TriedAccount& account : tried.accounts) all.push_back(account.percent());
  std::sort(all.begin(), all.end(), std::greater<>{});
  if (all.size() <= kMaxBars) return all;
  std::vector<double> out;
  out.reserve(kMaxBars);
  for (std::size_t i = 0; i < kMaxBars; ++i) out.push_back(all[i * all.size() / kMaxBars]);
  return out;
}

// The axis is logarithmic: most accounts send little.
double height_of(double percent, double most) {
  if (percent <= 0) return 0;
  return std::log1p(percent) / std::log1p(most) * kPeaksHeight;
}

void draw_peaks(std::string& out, const TriedLimits& tried) {
  constexpr double kLimit = 100;
  const auto bars = heights_of_bars(tried);
  const double most = std::max(kLimit * 1.25, bars.empty() ? 0 : bars.front());
  const int bottom = kPeaksTop + kPeaksHeight;
  put(out, "<text x=\"{}\" y=\"20\" class=\"t\">Peaks of {} in percent of the limit</text>\n",
      kLeft, in_markup(counted(tried.accounts.size(), "account")));
  for (const double percent : {1.0, 10.0, 50.0, 100.0, 200.0, 1000.0, 10000.0}) {
    if (percent > most) break;
    const double y = bottom - height_of(percent, most);
    put(out,
        "<line x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\" class=\"{}\"/>\n"
        "<text x=\"{}\" y=\"{:.1f}\" class=\"r\">{} %</text>\n",
        kLeft, kWidth - 20, y, y, percent == kLimit ? "l" : "g", kLeft - 6, y + 4, percent);
  }
  const double step =
      bars.empty() ? 1
                   : static_cast<double>(kWidth - 20 - kLeft) / static_cast<double>(bars.size());
  const double width = std::min(30.0, std::max(0.8, step * 0.8));
  for (std::size_t i = 0; i < bars.size(); ++i) {
    const double height = height_of(bars[i], most);
    put(out, "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" class=\"{}\"/>\n",
        kLeft + static_cast<double>(i) * std::min(step, 40.0), bottom - height, width, height,
        bars[i] > kLimit ? "o" : "b");
  }
}

// By local day: 24 sums.
using Days = std::map<std::string, std::vector<std::uint64_t>>;

Days days_of(const SimulateView& view, const TriedAccount& account) {
  constexpr std::size_t kHoursOfDay = 24;
  Days out;
  const std::uint32_t counter = account.counters.front();
  for (const QuarterOfCounter& each : view.replay.quarters) {
    if (each.counter != counter) continue;
    const std::time_t seconds = std::chrono::seconds{QuarterHour{each.quarter}}.count();
    std::tm local{};
    ::localtime_r(&seconds, &local);
    auto& day = out[fmt::format("{:%Y-%m-%d}", local)];
    day.resize(kHoursOfDay);
    ++day.at(static_cast<std::size_t>(local.tm_hour));
  }
  while (out.size() > kMaxDays) out.erase(out.begin());
  return out;
}

void draw_hours(std::string& out, const TriedAccount& account, const Days& days) {
  put(out, "<text x=\"{}\" y=\"{}\" class=\"t\">{}, mails by hour</text>\n", kLeft, kHoursTop - 25,
      in_markup(key_text(account.key)));
  std::uint64_t most = 1;
  for (const auto& [day, hours] : days) {
    most = std::max(most, *std::max_element(hours.begin(), hours.end()));
  }
  constexpr int kCell = 26;
  for (int hour = 0; hour < 24; hour += 3) {
    put(out, "<text x=\"{}\" y=\"{}\" class=\"s\">{:02}</text>\n", kHoursLeft + hour * kCell,
        kHoursTop - 6, hour);
  }
  int y = kHoursTop;
  for (const auto& [day, hours] : days) {
    put(out, "<text x=\"{}\" y=\"{}\" class=\"r\">{}</text>\n", kHoursLeft - 8, y + 11, day);
    for (std::size_t hour = 0; hour < hours.size(); ++hour) {
      if (hours[hour] == 0) continue;
      const double share = static_cast<double>(hours[hour]) / static_cast<double>(most);
      put(out,
          "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" class=\"b\" "
          "fill-opacity=\"{:.2f}\"><title>{} {:02}:00: {}</title></rect>\n",
          kHoursLeft + static_cast<int>(hour) * kCell, y, kCell - 2, kRowHeight - 2,
          0.15 + 0.85 * share, day, hour, hours[hour]);
    }
    y += kRowHeight;
  }
}

}  // namespace

bool has_account(const SimulateView& view, std::string_view whose) {
  return account_named(view, whose) != nullptr;
}

std::string svg_picture(const SimulateView& view, std::string_view whose) {
  const TriedAccount* const account = account_named(view, whose);
  const Days days = account == nullptr ? Days{} : days_of(view, *account);
  const int height = kHoursTop + static_cast<int>(days.size()) * kRowHeight + 20;
  std::string out;
  put(out,
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} "
      "{1}\">\n"
      "<style>text{{font:12px sans-serif;fill:#333}}.t{{font-weight:bold;font-size:14px}}"
      ".r{{text-anchor:end}}.s{{fill:#777}}.g{{stroke:#ddd}}"
      ".l{{stroke:#c00;stroke-width:2}}.b{{fill:#36c}}.o{{fill:#c00}}.w{{fill:#fff}}"
      "@media(prefers-color-scheme:dark){{.w{{fill:#14181e}}text{{fill:#e6eaf0}}.s{{fill:#a4afbd}}"
      ".g{{stroke:#343c48}}.b{{fill:#7cc0f0}}.l{{stroke:#ff9a92}}.o{{fill:#ff9a92}}}}</style>\n"
      "<rect width=\"100%\" height=\"100%\" class=\"w\"/>\n",
      kWidth, height);
  draw_peaks(out, view.tried);
  if (account != nullptr) draw_hours(out, *account, days);
  return out + "</svg>\n";
}

std::string html_page(const SimulateView& view, std::string_view whose) {
  std::ostringstream text;
  Output output{text, Style{}};
  print_simulation(view, output);
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<meta name=\"color-scheme\" content=\"light dark\">"
      "<title>Whom a limit would have hit</title></head>\n<body style=\"font-family:sans-serif\">\n"
      "{}<pre style=\"white-space:pre-wrap\">{}</pre>\n</body></html>\n",
      svg_picture(view, whose), [&] {
        // Each line for itself: escaping would show the line feeds.
        std::string lines;
        const std::string printed = text.str();
        for (const std::string_view line : split(printed, '\n')) lines += in_markup(line) + '\n';
        return lines;
      }());
}

}  // namespace limits
