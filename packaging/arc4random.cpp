// SPDX-License-Identifier: AGPL-3.0-only
// Linked into the programs of the packages only. Debian 12's archive of libstdc++ calls arc4random,
// which glibc has since 2.36; with this one the programs also run on hosts with glibc 2.34.
#include <sys/random.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>

extern "C" std::uint32_t arc4random() noexcept {
  std::uint32_t number = 0;
  // A signal interrupts it only while the kernel still gathers entropy, early at boot.
  while (::getrandom(&number, sizeof number, 0) != sizeof number) {
    if (errno != EINTR) std::abort();
  }
  return number;
}
