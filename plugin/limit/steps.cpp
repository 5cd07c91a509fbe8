// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/limit/steps.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "daemon/base/ascii.hpp"
#include "plugin/limit/duration.hpp"
#include "plugin/limit/rate_spec.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

constexpr std::array<std::string_view, 4> kKinds = {"notify", "hold", "block", "lock"};
constexpr std::string_view kMark = "then=";
constexpr std::string_view kAfter = "; ";
constexpr std::chrono::seconds kShortest{60};  // steps are looked at once a minute

bool lasts_until_unblocked(const Step& step) {
  return step.kind != Step::Kind::notify && !step.duration;
}

}  // namespace

std::string_view name_of(Step::Kind kind) { return kKinds.at(static_cast<std::size_t>(kind)); }

std::string step_text(const Step& step) {
  if (!step.duration) return std::string{name_of(step.kind)};
  const std::string period = format_period(*step.duration);  // "h", "10min"
  const char* one = policyd::is_digit(period.front()) ? "" : "1";
  return fmt::format("{}:{}{}", name_of(step.kind), one, period);
}

std::string steps_text(const std::vector<Step>& steps) {
  std::string out;
  for (const Step& step : steps) out += (out.empty() ? "" : ",") + step_text(step);
  return out;
}

policyd::Result<std::vector<Step>> parse_steps(std::string_view text) {
  std::vector<Step> out;
  for (const std::string_view item : split(text, ',')) {
    const std::size_t colon = std::min(item.find(':'), item.size());
    const std::string word = lower_cased(item.substr(0, colon));
    const auto found = std::find(kKinds.begin(), kKinds.end(), word);
    if (found == kKinds.end()) {
      return policyd::failure(
          fmt::format("not a valid step: '{}'; give notify, hold:DURATION, block:DURATION or lock, "
                      "or several, such as notify,block:1h",
                      shown(item)));
    }
    Step step{static_cast<Step::Kind>(found - kKinds.begin()), {}};
    const bool lasts = step.kind == Step::Kind::hold || step.kind == Step::Kind::block;
    if (!lasts && colon != item.size()) {
      return policyd::failure(fmt::format("not a valid step: '{}'; {} has no duration", shown(item),
                                          name_of(step.kind)));
    }
    if (colon != item.size()) {
      const auto duration =
          parse_duration(item.substr(colon + 1), kShortest, kMaxPeriod, "1 minute to 30 days");
      if (!duration) return tl::unexpected{duration.error()};
      step.duration = *duration;
    }
    if (out.size() == kMaxSteps) {
      return policyd::failure(fmt::format("at most {} steps can be given", kMaxSteps));
    }
    if (!out.empty() && lasts_until_unblocked(out.back())) {
      return policyd::failure(fmt::format(
          "no step can follow {}, which lasts until someone unblocks the account{}",
          step_text(out.back()),
          out.back().kind == Step::Kind::lock
              ? ""
              : fmt::format("; give it a duration, such as {}:1h", name_of(out.back().kind))));
    }
    out.push_back(step);
  }
  return out;
}

std::string_view steps_in(std::string_view comment) {
  if (!comment.starts_with(kMark)) return {};
  comment.remove_prefix(kMark.size());
  return comment.substr(0, comment.find(kAfter));
}

std::string with_steps(std::string_view comment, std::string_view steps) {
  if (comment.starts_with(kMark)) {
    const std::size_t end = comment.find(kAfter);
    comment.remove_prefix(end == std::string_view::npos ? comment.size() : end + kAfter.size());
  }
  if (steps.empty()) return std::string{comment};
  return fmt::format("{}{}{}{}", kMark, steps, comment.empty() ? "" : kAfter, comment);
}

}  // namespace limits
