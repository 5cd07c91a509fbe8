// SPDX-License-Identifier: AGPL-3.0-only
// The result of a function that can fail while mail is served: the value, or one sentence that says
// what is wrong, where, and what to do. Context is added once, where it is known.
#pragma once

#include <string>
#include <tl/expected.hpp>

namespace policyd {

struct Error {
  std::string message;  // one line, without a full stop at the end
};

template <typename T>
using Result = tl::expected<T, Error>;

inline tl::unexpected<Error> failure(std::string message) {
  return tl::unexpected<Error>{Error{std::move(message)}};
}

}  // namespace policyd
