// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/web/first_page.hpp"

#include <fmt/chrono.h>
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <nlohmann/json.hpp>

#include "plugin/terminal/markup.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

constexpr std::string_view kHead =
    "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<meta name=\"color-scheme\" content=\"light dark\">\n"
    "<link rel=\"icon\" href=\"/icon.svg\">\n<link rel=\"stylesheet\" href=\"/page.css\">\n";
// Without a script it is loaded again by the browser.
constexpr std::string_view kNoScript =
    "<noscript><meta http-equiv=\"refresh\" content=\"30\"></noscript>\n";

std::string text_at(const nlohmann::json& row, const char* key) {
  const auto found = row.find(key);
  return found != row.end() && found->is_string() ? found->get<std::string>() : std::string{};
}

double number_at(const nlohmann::json& row, const char* key) {
  const auto found = row.find(key);
  return found != row.end() && found->is_number() ? found->get<double>() : 0;
}

std::string time_cell(double at_s) {
  const auto seconds = static_cast<std::time_t>(at_s);
  return fmt::format(
      "<time datetime=\"{:%Y-%m-%dT%H:%M:%SZ}\" title=\"{:%Y-%m-%d %H:%M:%S %Z}\">"
      "{:%H:%M}</time>",
      fmt::gmtime(seconds), fmt::localtime(seconds), fmt::localtime(seconds));
}

// By which limit, or module: "limit 3".
std::string by_text(const nlohmann::json& row) {
  const auto id = row.find("id");
  if (id != row.end() && id->is_number_integer()) {
    return fmt::format("limit {}", id->get<std::int64_t>());
  }
  return text_at(row, "module");
}

// As a form returns it to the letter, so that it names whom it is of.
std::string form_value(std::string_view text) {
  constexpr std::string_view kMarkup = "&<>\"'\x7f";
  std::string out;
  for (const char c : text) {
    const bool control = static_cast<unsigned char>(c) < ' ';
    out += control || kMarkup.find(c) != std::string_view::npos
               ? fmt::format("&#{};", static_cast<int>(c))
               : std::string(1, c);
  }
  return out;
}

// "signed in as root on pts/0": that it is the page need not be said on it.
std::string_view signed_in_as(std::string_view who) {
  constexpr std::string_view kPage = "the page, ";
  if (who.starts_with(kPage)) who.remove_prefix(kPage.size());
  return who;
}

std::string reset_button(const nlohmann::json& row, const FirstPageContent& content) {
  const auto id = row.find("id");
  const auto word = row.find("reset");
  if (content.change_token.empty() || id == row.end() || !id->is_number_integer() ||
      word == row.end() || !word->is_string()) {
    return {};
  }
  // A counter that everybody shares has no name; `limit` alone clears it.
  const std::string value = form_value(word->get_ref<const std::string&>());
  return fmt::format(
      "<form method=\"post\" action=\"/api/reset\">"
      "<input type=\"hidden\" name=\"token\" value=\"{}\">"
      "<input type=\"hidden\" name=\"limit\" value=\"{}\">"
      "<button{} aria-label=\"Allow again: {}\">Allow again</button></form>",
      in_markup(content.change_token), id->get<std::int64_t>(),
      value.empty() ? "" : fmt::format(" name=\"word\" value=\"{}\"", value),
      in_markup(text_at(row, "who")));
}

// One of the future: the same mail would be refused now.
bool is_refused_now(const nlohmann::json& row, double now_s) {
  return number_at(row, "free_at") > now_s;
}

// The roles are said as in text.js.
std::string refused_row(const nlohmann::json& row, const FirstPageContent& content, double now_s) {
  std::string out = fmt::format(
      "<tr role=\"row\"><th scope=\"row\" role=\"rowheader\">{}</th>"
      "<td class=\"number\" role=\"cell\" data-name=\"Times\">{:.0f}</td>"
      "<td role=\"cell\" data-name=\"Since\">{}</td><td role=\"cell\" data-name=\"By\">{}</td>"
      "<td role=\"cell\" data-name=\"From\">{}</td>",
      in_markup(text_at(row, "who")), number_at(row, "times"), time_cell(number_at(row, "first")),
      in_markup(by_text(row)), in_markup(text_at(row, "client")));
  if (is_refused_now(row, now_s)) {
    out += fmt::format("<td role=\"cell\" data-name=\"Free\">in {}</td><td role=\"cell\">{}</td>",
                       time_until(number_at(row, "free_at"), now_s), reset_button(row, content));
  }
  return out + "</tr>\n";
}

std::string refused_table(const FirstPageContent& content, double now_s, bool now) {
  std::string rows;
  for (const nlohmann::json& row : content.refused.value("refused", nlohmann::json::array())) {
    if (is_refused_now(row, now_s) == now) rows += refused_row(row, content, now_s);
  }
  if (rows.empty()) return rows;
  std::string head;
  for (const std::string_view title : {"Who", "Times", "Since", "By", "From", "Free"}) {
    if (title == "Free" && !now) continue;
    head += fmt::format("<th scope=\"col\" role=\"columnheader\"{}>{}</th>",
                        title == "Times" ? " class=\"number\"" : "", title);
  }
  if (now) head += "<td role=\"cell\"></td>";
  return fmt::format(
      "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{0}\">"
      "<table role=\"table\">\n<caption class=\"hidden\">{0}</caption>\n"
      "<thead role=\"rowgroup\"><tr role=\"row\">{1}</tr></thead>\n<tbody role=\"rowgroup\">\n{2}"
      "</tbody>\n</table></div>\n",
      now ? "Refused now" : "Refused in the last hour", head, rows);
}

// As now.js says it.
std::string doctor_sentence(const nlohmann::json* doctor) {
  constexpr std::size_t kMax = 10;  // each of many limits may have one
  if (doctor == nullptr) return "<p class=\"health dim\">Checking…</p>\n";
  const auto wrong = static_cast<std::size_t>(number_at(*doctor, "wrong"));
  if (wrong == 0) return "<p class=\"health well\">All is well.</p>\n";
  std::string out = fmt::format("<p class=\"health wrong\">{}:</p>\n<ul class=\"problems\">\n",
                                counted(wrong, "problem"));
  std::size_t shown = 0;
  for (const nlohmann::json& finding : doctor->value("findings", nlohmann::json::array())) {
    if (text_at(finding, "state") != "wrong") continue;
    if (++shown > kMax) break;
    out += fmt::format("<li>{}</li>\n", in_markup(text_at(finding, "what")));
  }
  out += "</ul>\n";
  if (wrong > kMax) {
    out += fmt::format("<p>{} more: <code>carbonio-limits doctor</code></p>\n", wrong - kMax);
  }
  return out;
}

std::string warnings_of(const nlohmann::json& refused) {
  std::string out =
      "<div id=\"banner\" role=\"region\" aria-label=\"Warnings\" aria-live=\"polite\">\n";
  for (const nlohmann::json& warning : refused.value("warnings", nlohmann::json::array())) {
    if (!warning.is_string()) continue;
    out += fmt::format("<p class=\"banner\">{}</p>\n", in_markup(warning.get<std::string>()));
  }
  return out + "</div>\n";
}

}  // namespace

std::string time_until(double then_s, double now_s) {
  const double left = std::ceil(then_s - now_s);
  if (!(left > 0)) return {};
  constexpr double kMinute = 60, kHour = 3600, kDay = 86'400;
  if (left < kMinute) return fmt::format("{:.0f} s", left);
  if (left < kHour) return fmt::format("{:.0f} min", std::ceil(left / kMinute));
  if (left < kDay) {
    const double minutes = std::ceil(left / kMinute);
    return fmt::format("{:.0f} h {:.0f} min", std::floor(minutes / 60), std::fmod(minutes, 60));
  }
  constexpr double kMax = 1e6;
  return counted(static_cast<std::size_t>(std::min(std::ceil(left / kDay), kMax)), "day");
}

std::string first_page(const FirstPageContent& content, policyd::TimePoint now) {
  std::string out{kHead};
  const double now_s = policyd::to_seconds(now);
  out += kNoScript;
  out += fmt::format(
      "<title>Limits on {0}</title>\n<script type=\"module\" src=\"/page.js\"></script>\n</head>\n"
      "<body data-change=\"{1}\" data-host=\"{0}\" data-zone=\"{3}\">\n"
      "<a class=\"skip\" href=\"#main\">Skip to the content</a>\n"
      "<header><h1>Limits on {0}</h1>\n<nav aria-label=\"Pages\"><noscript>Usage, limits and "
      "history need JavaScript.</noscript></nav>\n"
      "<form method=\"post\" action=\"/sign-out\"><span class=\"who\">{2}</span> "
      "<button>Sign out</button></form></header>\n",
      in_markup(content.host), in_markup(content.change_token),
      in_markup(signed_in_as(content.who)), in_markup(content.time_zone));
  out += warnings_of(content.refused);
  out += "<main id=\"main\" tabindex=\"-1\">\n<h2>Now</h2>\n";
  if (!content.message.empty()) {
    out += fmt::format("<p class=\"message\" role=\"status\">{}</p>\n", in_markup(content.message));
  }
  out += doctor_sentence(content.doctor);
  const std::string stuck = refused_table(content, now_s, true);
  out += "<h3>Refused now</h3>\n";
  out += stuck.empty() ? "<p>No sender is refused now.</p>\n" : stuck;
  const std::string others = refused_table(content, now_s, false);
  if (!others.empty()) out += "<h3>Refused in the last hour</h3>\n" + others;
  return out + "</main>\n</body>\n</html>\n";
}

std::string plain_page(std::string_view title, std::string_view text) {
  return fmt::format(
      "{}<title>{}</title>\n</head>\n<body><main><h1>{}</h1>\n<p>{}</p></main></body>\n</html>\n",
      kHead, in_markup(title), in_markup(title), in_markup(text));
}

std::string signed_in_page() {
  return fmt::format(
      "{}<meta http-equiv=\"refresh\" content=\"0; url=/\">\n<title>Limits</title>\n"
      "</head>\n<body><main><p><a href=\"/\">Go on</a></p></main></body>\n</html>\n",
      kHead);
}

}  // namespace limits
