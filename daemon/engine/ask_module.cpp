// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/engine/ask_module.hpp"

#include <fmt/core.h>

#include <exception>

namespace policyd {
namespace {

template <typename Decide>
Next ask(Module& module, Question& question, Decide decide) {
  try {
    return decide();
  } catch (const std::exception& error) {
    question.log.error(fmt::format("module={}: {}", module.name(), error.what()));
    question.verdict = {Action::defer, {}};
    question.reason = {Reason::Kind::invalid_row, 0, 0, 0, error.what()};
    return Next::stop;
  }
}

}  // namespace

Next ask_module(Module& module, RcptQuestion& question) {
  return ask(module, question, [&] { return module.decide_rcpt(question); });
}

Next ask_module(Module& module, MessageQuestion& question) {
  return ask(module, question, [&] { return module.decide_message(question); });
}

}  // namespace policyd
