// SPDX-License-Identifier: AGPL-3.0-only
// Secrets that nobody can guess, from the kernel, and how they are compared.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace limits {

// So many bytes of the kernel's, as hexadecimal digits. At most 256 bytes, so that it cannot fail.
std::string random_text(std::size_t bytes);

// Takes as long whatever the difference is.
bool is_same_secret(std::string_view a, std::string_view b);

}  // namespace limits
