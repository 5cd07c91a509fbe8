// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/status/pause_file.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "daemon/status/pause_watch.hpp"

namespace policyd {
namespace {

namespace fs = std::filesystem;

TimePoint at(std::int64_t seconds) { return TimePoint{std::chrono::seconds{seconds}}; }

class PauseFile : public ::testing::Test {
 protected:
  PauseFile() {
    std::string name = (fs::temp_directory_path() / "limits-pause-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    file_ = pause_file_of(folder_ / "cbpolicyd.pid");
  }
  ~PauseFile() override { fs::remove_all(folder_); }

  void put(const std::string& text) { std::ofstream{file_} << text; }
  std::string problem() {
    const auto read = read_pause(file_);
    return read ? "none" : read.error().message;
  }

  fs::path folder_;
  fs::path file_;
};

TEST(Pause, EndsAtItsTimeAndIsNoneBeyondItsBound) {
  const Pause pause{at(1'000'000), true};
  EXPECT_TRUE(pause.in_force(at(999'999)));
  EXPECT_FALSE(pause.in_force(at(1'000'000)));
  EXPECT_TRUE(pause.in_force(pause.until - Pause::kMax));
  EXPECT_FALSE(pause.in_force(pause.until - Pause::kMax - Millis{1}));
  EXPECT_FALSE(Pause{}.in_force(at(0)));
  EXPECT_FALSE(Pause{}.in_force(at(1'000'000)));
}

TEST_F(PauseFile, IsReadAsItWasWritten) {
  EXPECT_EQ(file_.filename(), "cbpolicyd.pause.json");
  EXPECT_EQ(*read_pause(file_), std::nullopt);
  for (const Pause& pause : {Pause{TimePoint{Millis{1795348800123}}, true}, Pause{at(1), false}}) {
    const mode_t before = ::umask(077);
    ASSERT_TRUE(write_pause(file_, pause));
    ::umask(before);
    EXPECT_EQ(**read_pause(file_), pause);
  }
  struct stat status {};
  ASSERT_EQ(::stat(file_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0644U);  // the daemon reads it as its own user
  EXPECT_EQ(std::distance(fs::directory_iterator{folder_}, fs::directory_iterator{}), 1);
  EXPECT_TRUE(*remove_pause(file_));
  EXPECT_FALSE(*remove_pause(file_));
}

TEST_F(PauseFile, IsAnErrorIfItIsAnythingElse) {
  for (const char* text : {"", "x", "{}", "[]", "{\"until\":1}",
                           "{\"until\":\"1\",\"counted\":true}", "{\"until\":-1,\"counted\":true}",
                           "{\"until\":1e300,\"counted\":true}", "{\"until\":1,\"counted\":1}"}) {
    put(text);
    EXPECT_NE(problem().find("is not a pause"), std::string::npos) << text << ": " << problem();
  }
  put(std::string(5000, ' '));
  EXPECT_NE(problem().find("larger than"), std::string::npos) << problem();
  fs::remove(file_);
  ASSERT_EQ(::mkfifo(file_.c_str(), 0600), 0);  // does not wait for a writer
  EXPECT_NE(problem().find("not a regular file"), std::string::npos) << problem();
}

TEST_F(PauseFile, OfAnotherUserCountsForNothing) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
  ASSERT_TRUE(write_pause(file_, {at(1), true}));
  ASSERT_EQ(::chown(file_.c_str(), 65534, 65534), 0);
  EXPECT_NE(problem().find("does not belong to"), std::string::npos) << problem();
  ASSERT_EQ(::chown(folder_.c_str(), 65534, 65534), 0);  // who may write there may pause
  EXPECT_EQ(problem(), "none");
}

// The loop runs for one second; what the watch reports is collected.
TEST_F(PauseFile, ReachesTheLoopAtOnceAndWhenItsFolderComesLater) {
  EpollLoop loop;
  LogSettings settings;
  settings.file = folder_ / "log";
  const auto log = std::move(*Maillog::open(settings));
  const fs::path later = folder_ / "later" / "cbpolicyd.pause.json";
  const Pause first{wall_clock() + std::chrono::hours{1}, true};
  std::vector<Pause> seen;
  std::vector<Pause> seen_later;
  PauseWatch watch{loop, *log, file_, [&](const Pause& now) { seen.push_back(now); },
                   std::chrono::hours{1}};
  PauseWatch watch_later{loop, *log, later, [&](const Pause& now) { seen_later.push_back(now); },
                         Millis{20}};
  loop.after(Millis{50}, [&] { ASSERT_TRUE(write_pause(file_, first)); });
  loop.after(Millis{100}, [&] {
    EXPECT_EQ(seen, (std::vector<Pause>{first}));  // long before it reads without an event
    EXPECT_EQ(watch.current(), first);
    ASSERT_TRUE(*remove_pause(file_));
    fs::create_directory(later.parent_path());
    ASSERT_TRUE(write_pause(later, first));
  });
  loop.after(Millis{600}, [&] { loop.stop(); });
  loop.run();
  EXPECT_EQ(seen, (std::vector<Pause>{first, Pause{}}));
  EXPECT_EQ(watch.current(), Pause{});
  EXPECT_EQ(seen_later, (std::vector<Pause>{first}));
}

}  // namespace
}  // namespace policyd
