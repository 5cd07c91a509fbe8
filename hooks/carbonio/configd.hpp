// SPDX-License-Identifier: AGPL-3.0-only
// carbonio-configd, which generates cbpolicyd.conf and Postfix's main.cf: a request to do so now.
// The newer version answers before it has written the files, and checks for changes every 300 s;
// the older one answers afterwards, and checks every 60 s. So this waits until the change shows in
// the files, too. A rewrite restarts and reloads nothing.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace carbonio {

struct Configd {
  std::uint16_t port = 0;
  std::chrono::seconds within{60};  // for its answer, and then for the files
};

struct Rewritten {
  bool took_effect = false;  // the awaited condition holds
  bool not_running = false;  // configd does not run here
  std::string trouble;       // it runs, but did not do it: a sentence without a full stop
};

// One connection to the loopback (IPv4, else IPv6), one line "REWRITE `sections`", one answer.
// Tests `took_effect` after the answer, repeatedly until it returns true or the time is over; only
// once if configd does not run.
Rewritten rewrite(const Configd& configd, std::string_view sections,
                  const std::function<bool()>& took_effect);

}  // namespace carbonio
