// SPDX-License-Identifier: AGPL-3.0-only
// The texts of remembered answers, each in memory once: thousands of messages may be refused with
// the same long text. The loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>

#include "daemon/protocol/verdict.hpp"

namespace policyd {

// A Verdict as it is remembered. Shared by all messages that were answered so; null if empty.
struct RememberedAnswer {
  Action action = Action::dunno;
  std::shared_ptr<const std::string> text;

  [[nodiscard]] Verdict verdict() const { return {action, text ? *text : std::string{}}; }
  [[nodiscard]] bool refuses() const { return Verdict{action, {}}.refuses(); }
};

class AnswerTexts {
 public:
  // Only what an answer can have of the text is remembered.
  RememberedAnswer remember(const Verdict& verdict);
  [[nodiscard]] std::size_t size() const { return texts_.size(); }

 private:
  using Text = std::shared_ptr<const std::string>;
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>{}(text);
    }
    std::size_t operator()(const Text& text) const { return (*this)(*text); }
  };
  struct Equal {
    using is_transparent = void;
    bool operator()(const Text& a, const Text& b) const { return *a == *b; }
    bool operator()(std::string_view a, const Text& b) const { return a == *b; }
    bool operator()(const Text& a, std::string_view b) const { return *a == b; }
  };

  std::unordered_set<Text, Hash, Equal> texts_;
  std::size_t clear_at_ = 64;  // texts; then those that no message has any longer are dropped
};

}  // namespace policyd
