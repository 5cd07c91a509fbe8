// SPDX-License-Identifier: AGPL-3.0-only
// differential REQUESTS [SEED]: sends random requests to the daemon's engine and store on a real
// database and to a plain model of them, in many small worlds: matching, several quotas at once,
// both algorithms, sizes at END-OF-MESSAGE, repeated questions, rows and rules changed by an admin,
// clean restarts and crashes. Prints figures; exit status 1 if the two differ, with the seed that
// reproduces it.
#include <stdlib.h>

#include <charconv>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "world.hpp"

namespace {

constexpr std::uint64_t kRequestsPerWorld = 4'000;

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "limits-worlds-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  [[nodiscard]] std::filesystem::path fresh(std::uint64_t seed) const {
    const auto path = path_ / std::to_string(seed);
    std::filesystem::create_directory(path);
    return path;
  }

 private:
  std::filesystem::path path_;
};

// One database; it is closed and its threads have ended when this returns.
std::optional<std::string> play_world(const std::filesystem::path& folder, std::uint64_t seed,
                                      differential::Figures& figures) {
  differential::World world{folder, seed};
  return world.play(kRequestsPerWorld, figures);
}

int play(std::uint64_t requests, std::uint64_t seed) {
  const Folder folder;
  differential::Figures figures;
  std::uint64_t worlds = 0;
  for (; figures.requests < requests; ++seed, ++worlds) {
    const auto path = folder.fresh(seed);
    if (const auto differs = play_world(path, seed, figures)) {
      std::printf("seed %llu differs: %s\n", static_cast<unsigned long long>(seed),
                  differs->c_str());
      return 1;
    }
    std::filesystem::remove_all(path);
  }
  const auto print = [](const char* what, std::uint64_t count) {
    std::printf("%12llu %s\n", static_cast<unsigned long long>(count), what);
  };
  print("requests", figures.requests);
  print("refused", figures.refused);
  print("near an edge, where both answers are right", figures.ambiguous);
  print("rows of quotas_tracking compared", figures.rows);
  print("databases, each with its own rules", worlds);
  print("clean restarts", figures.restarts);
  print("crashes", figures.crashes);
  print("changes by an admin", figures.changes);
  // A comparison that can hardly fail proves nothing.
  const bool meaningful = figures.refused > figures.requests / 50 &&
                          figures.refused < figures.requests &&
                          figures.ambiguous < figures.requests / 20;
  if (!meaningful) std::printf("too few refusals, or too many ambiguous answers\n");
  return meaningful ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const auto requests = argc > 1 ? number(argv[1]) : std::nullopt;
  const auto seed = argc > 2 ? number(argv[2]) : std::optional<std::uint64_t>{1};
  if (argc > 3 || !requests || !seed) {
    std::fprintf(stderr, "usage: %s REQUESTS [SEED]\n", argv[0]);
    return 1;
  }
  try {
    return play(*requests, *seed);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", argv[0], error.what());
    return 2;
  }
}
