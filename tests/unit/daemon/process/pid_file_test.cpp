// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/process/pid_file.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <optional>
#include <string>
#include <utility>

namespace policyd {
namespace {

namespace fs = std::filesystem;

class PidFiles : public testing::Test {
 protected:
  PidFiles() { fs::create_directories(folder_); }
  ~PidFiles() override { fs::remove_all(folder_); }
  [[nodiscard]] std::string text() const {
    std::ifstream in{file_};
    return {std::istreambuf_iterator<char>{in}, {}};
  }

  const fs::path folder_ =
      fs::path{testing::TempDir()} / ("pid_file_test." + std::to_string(::getpid()));
  const fs::path file_ = folder_ / "cbpolicyd.pid";
  const std::string ours_ = std::to_string(::getpid()) + "\n";
};

TEST_F(PidFiles, HoldsOurPidAndIsRemovedAtTheEnd) {
  {
    const auto taken = PidFile::take(file_);
    ASSERT_TRUE(taken);
    EXPECT_EQ(text(), ours_);
    EXPECT_TRUE(taken->is_in_place());
    EXPECT_EQ(PidFile::holder(file_), ::getpid());
  }
  EXPECT_FALSE(fs::exists(file_));
  EXPECT_EQ(PidFile::holder(file_), std::nullopt);
}

TEST_F(PidFiles, AStaleFileIsReplacedWhateverItContains) {
  for (const char* left : {"1\n", "123456789012\n", "no number", ""}) {
    std::ofstream{file_} << left;
    EXPECT_EQ(PidFile::holder(file_), std::nullopt);
    const auto taken = PidFile::take(file_);
    ASSERT_TRUE(taken);
    EXPECT_EQ(text(), ours_);
  }
}

TEST_F(PidFiles, TheSecondDaemonLearnsThePidOfTheFirst) {
  const auto first = PidFile::take(file_);
  const auto second = PidFile::take(file_);
  ASSERT_FALSE(second);
  EXPECT_TRUE(second.error().taken);
  EXPECT_NE(second.error().message.find("with pid " + std::to_string(::getpid())),
            std::string::npos);
  EXPECT_EQ(text(), ours_);
}

TEST_F(PidFiles, ARemovedFileIsNoticedAndAnotherDaemonsFileKept) {
  auto taken = PidFile::take(file_);
  ASSERT_TRUE(taken);
  std::optional<PidFile> first{std::move(*taken)};
  fs::remove(file_);
  EXPECT_FALSE(first->is_in_place());
  const auto second = PidFile::take(file_);
  ASSERT_TRUE(second);
  first.reset();
  EXPECT_TRUE(second->is_in_place());
}

TEST_F(PidFiles, AMissingFolderIsNotFatal) {
  const auto taken = PidFile::take(folder_ / "missing" / "cbpolicyd.pid");
  ASSERT_FALSE(taken);
  EXPECT_FALSE(taken.error().taken);
  EXPECT_NE(taken.error().message.find("No such file"), std::string::npos);
}

}  // namespace
}  // namespace policyd
