// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/host/configd_rewrite.hpp"

#include <fmt/core.h>

#include "hooks/carbonio/configd.hpp"
#include "hooks/system/wait_until.hpp"

namespace limits {

Rewritten rewrite(const Configd& configd, std::string_view sections,
                  const std::function<bool()>& took_effect) {
  using carbonio::RewriteRequest;
  constexpr std::chrono::milliseconds kInterval{200};
  Rewritten out;
  const auto request = carbonio::request_rewrite(configd.port, sections, configd.within);
  if (!request) out.trouble = request.error().message;
  out.not_running = request && *request == RewriteRequest::not_running;
  const bool accepted = request && *request == RewriteRequest::accepted;
  out.took_effect = carbonio::wait_until(accepted ? configd.within : std::chrono::seconds{0},
                                         kInterval, took_effect);
  if (accepted && !out.took_effect) {
    out.trouble = fmt::format(
        "configd, port {}: accepted the request, but the files did not change within {} s",
        configd.port, configd.within.count());
  }
  return out;
}

}  // namespace limits
