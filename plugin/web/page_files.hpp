// SPDX-License-Identifier: AGPL-3.0-only
// The files of the page, which are part of the program: plugin/web/pages, as CMake found them.
#pragma once

#include <string_view>

namespace limits {

struct PageFile {
  std::string_view name;  // "page.js"
  std::string_view type;  // of its content, for HTTP
  std::string_view bytes;
};

// Null if there is none of this name.
const PageFile* find_page_file(std::string_view name);

}  // namespace limits
