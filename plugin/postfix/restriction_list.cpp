// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/postfix/restriction_list.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "daemon/base/did_you_mean.hpp"
#include "plugin/postfix/restrictions.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

constexpr std::array<std::string_view, 3> kTransports = {"inet:", "unix:", "local:"};

struct Mark {
  std::string_view text;
  std::string_view instead;
};
// Which word processors and pages put around words and between them.
constexpr std::array kMarks = {
    Mark{"\"", ""},     Mark{"'", ""},      Mark{"`", ""},       Mark{"\u00B4", ""},
    Mark{"\u2018", ""}, Mark{"\u2019", ""}, Mark{"\u201A", ""},  Mark{"\u201C", ""},
    Mark{"\u201D", ""}, Mark{"\u201E", ""}, Mark{"\u00AB", ""},  Mark{"\u00BB", ""},
    Mark{"\u200B", ""}, Mark{"\uFEFF", ""}, Mark{"\u00A0", " "}, Mark{"\u202F", " "},
};

bool is_odd(std::string_view word) {
  return std::any_of(word.begin(), word.end(), [](char c) {
    return static_cast<unsigned char>(c) >= 0x80 || c == '"' || c == '\'' || c == '`';
  });
}

std::string without_marks(std::string_view word) {
  std::string out;
  while (!word.empty()) {
    const auto* found = std::find_if(kMarks.begin(), kMarks.end(),
                                     [&](const Mark& mark) { return word.starts_with(mark.text); });
    const bool mark = found != kMarks.end();
    out += mark ? found->instead : word.substr(0, 1);
    word.remove_prefix(mark ? found->text.size() : 1);
  }
  const std::size_t begin = std::min(out.find_first_not_of(' '), out.size());
  return out.substr(begin, out.find_last_not_of(' ') + 1 - begin);
}

bool names_access_check(std::string_view word) {
  const std::string name = lower_cased(word);
  return name.starts_with("check_") && name.ends_with("_access");
}

// "check_policy_servce", "check-policy-service", "policy_service".
bool is_nearly_policy_check(std::string_view word) {
  constexpr std::array kKnown = {kPolicyCheck};
  return !names_access_check(word) && (lower_cased(word).find("policy") != std::string::npos ||
                                       policyd::nearest(word, kKnown).has_value());
}

bool is_one_of(std::string_view service, const std::vector<std::string>& ours) {
  return std::any_of(ours.begin(), ours.end(),
                     [&](const std::string& name) { return equal_ignoring_case(name, service); });
}

// The service itself if it has a transport, without which Postfix takes none.
std::optional<std::string> evident_service(const std::string& service,
                                           const std::vector<std::string>& ours) {
  const std::string plain = without_marks(service);
  for (const std::string_view transport : kTransports) {
    const std::string whole = std::string{transport} + plain;
    if (is_one_of(whole, ours)) return whole;
    if (plain.size() > transport.size() &&
        equal_ignoring_case(plain.substr(0, transport.size()), transport)) {
      return std::string{transport} + plain.substr(transport.size());
    }
  }
  return std::nullopt;
}

class Reader {
 public:
  Reader(std::string_view list, const std::vector<std::string>& ours)
      : words_(restriction_words(list)), ours_(ours) {}

  std::vector<Restriction> read() {
    while (at_ < words_.size()) out_.push_back(next());
    return std::move(out_);
  }

 private:
  Restriction next() {
    const std::string word = words_[at_++];
    if (word.starts_with('{')) return {word, {}, {}};
    std::string name = without_marks(word);
    std::string argument;
    // "check_policy_service=inet:localhost:10031"
    const std::size_t end = name.find_first_of("=:{ ");
    if (end != std::string::npos && is_nearly_policy_check(name.substr(0, end))) {
      argument = name.substr(std::min(name.find_first_not_of("=: ", end), name.size()));
      name.resize(end);
    }
    if (equal_ignoring_case(name, kPolicyCheck) ||
        (is_nearly_policy_check(name) && is_service(argument.empty() ? ahead() : argument))) {
      return policy_check(word, argument);
    }
    if (const auto service = evident_service(word, ours_); service && is_one_of(*service, ours_)) {
      return {std::string{kPolicyCheck}, *service, word};
    }
    const bool odd = is_odd(word);
    if (!odd && word.find(':') != std::string::npos) return {{}, word, {}};
    const bool evident = !odd || !is_odd(name);
    Restriction out{evident ? name : word, {}, odd ? word : "", evident};
    if (names_access_check(name) && at_ < words_.size()) {
      out.argument = odd ? without_marks(words_[at_]) : words_[at_];
      ++at_;
    }
    return out;
  }

  Restriction policy_check(const std::string& word, std::string argument) {
    // Postfix takes no word without a colon for a service.
    const bool is_next = argument.empty() && ahead().find(':') != std::string::npos;
    if (is_next) argument = words_[at_++];
    const std::string service = policy_service_of(argument);
    const auto meant = evident_service(service, ours_);
    const bool known = equal_ignoring_case(word, kPolicyCheck);
    if (!meant) return {word, is_next ? argument : "", service.empty() ? word : service, false};
    argument.replace(argument.find(service), service.size(), *meant);
    const std::string& unknown = known ? service : word;
    return {std::string{kPolicyCheck}, argument, known && *meant == service ? "" : unknown};
  }

  [[nodiscard]] bool is_service(const std::string& word) const {
    return evident_service(policy_service_of(word), ours_).has_value();
  }
  [[nodiscard]] std::string ahead() const { return at_ < words_.size() ? words_[at_] : ""; }

  std::vector<std::string> words_;
  const std::vector<std::string>& ours_;
  std::size_t at_ = 0;
  std::vector<Restriction> out_;
};

}  // namespace

std::string Restriction::text() const {
  return name + (name.empty() || argument.empty() ? "" : " ") + argument;
}

bool Restriction::is(std::string_view word) const { return equal_ignoring_case(name, word); }

bool Restriction::is_permit() const { return lower_cased(name).starts_with("permit"); }

bool Restriction::is_access_check() const {
  return names_access_check(name) || (name.empty() && !argument.empty());
}

bool Restriction::is_last() const { return is("permit") || is("reject") || is("defer"); }

std::vector<Restriction> restrictions_of(std::string_view list,
                                         const std::vector<std::string>& ours) {
  return Reader{list, ours}.read();
}

std::string list_text(const std::vector<Restriction>& restrictions) {
  std::string out;
  for (const Restriction& each : restrictions) {
    const std::string text = each.text();
    if (text.empty()) continue;  // nothing but quotation marks
    out += (out.empty() ? "" : ", ") + text;
  }
  return out;
}

const Restriction* first_unknown(const std::vector<Restriction>& restrictions) {
  for (const Restriction& each : restrictions) {
    if (!each.unknown.empty()) return &each;
    if (each.is_last()) break;
  }
  return nullptr;
}

bool names_policy_service(const std::string& word, const std::vector<std::string>& ours) {
  return is_one_of(policy_service_of(word), ours);
}

}  // namespace limits
