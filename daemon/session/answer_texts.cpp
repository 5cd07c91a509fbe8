// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/session/answer_texts.hpp"

#include <algorithm>

#include "daemon/protocol/policy_protocol.hpp"

namespace policyd {

RememberedAnswer AnswerTexts::remember(const Verdict& verdict) {
  const std::string_view text = answerable(verdict.text);
  if (text.empty()) return {verdict.action, nullptr};
  const auto known = texts_.find(text);
  if (known != texts_.end()) return {verdict.action, *known};
  if (texts_.size() >= clear_at_) {
    std::erase_if(texts_, [](const Text& each) { return each.use_count() == 1; });
    clear_at_ = std::max<std::size_t>(64, 2 * texts_.size());
  }
  return {verdict.action, *texts_.insert(std::make_shared<const std::string>(text)).first};
}

}  // namespace policyd
