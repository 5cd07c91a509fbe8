// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/web/page_files.hpp"

#include <algorithm>
#include <array>

#include "page_texts.hpp"

namespace limits {
namespace {

constexpr std::string_view kScript = "text/javascript; charset=utf-8";
constexpr std::array kFiles = {
    PageFile{"page.css", "text/css; charset=utf-8", k_page_css},
    PageFile{"page.js", kScript, k_page_js},
    PageFile{"api.js", kScript, k_api_js},
    PageFile{"text.js", kScript, k_text_js},
    PageFile{"now.js", kScript, k_now_js},
    PageFile{"usage.js", kScript, k_usage_js},
    PageFile{"limits.js", kScript, k_limits_js},
    PageFile{"undo.js", kScript, k_undo_js},
    PageFile{"trial.js", kScript, k_trial_js},
    PageFile{"blocked.js", kScript, k_blocked_js},
    PageFile{"history.js", kScript, k_history_js},
    PageFile{"icon.svg", "image/svg+xml", k_icon_svg},
};

}  // namespace

const PageFile* find_page_file(std::string_view name) {
  const auto* found = std::find_if(kFiles.begin(), kFiles.end(),
                                   [&](const PageFile& file) { return file.name == name; });
  return found == kFiles.end() ? nullptr : found;
}

}  // namespace limits
