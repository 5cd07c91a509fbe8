// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/base/replace_file.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <fstream>
#include <iterator>
#include <string>

namespace policyd {
namespace {

namespace fs = std::filesystem;

class ReplaceFileTest : public ::testing::Test {
 protected:
  ReplaceFileTest() {
    std::string name = (fs::temp_directory_path() / "limits-replace-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    file_ = folder_ / "file";
  }
  ~ReplaceFileTest() override { fs::remove_all(folder_); }

  std::string text() const { return read_file(file_, 10'000'000).value_or("none"); }
  struct stat status() const {
    struct stat out {};
    EXPECT_EQ(::stat(file_.c_str(), &out), 0);
    return out;
  }
  std::size_t files() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator{folder_}, {}));
  }

  fs::path folder_;
  fs::path file_;
};

TEST_F(ReplaceFileTest, WritesAllOfItWithTheMode) {
  const mode_t before = ::umask(0077);
  EXPECT_TRUE(replace_file(file_, "one", 0640));
  ::umask(before);
  EXPECT_EQ(text(), "one");
  EXPECT_EQ(status().st_mode & 07777U, 0640U);
  const std::string large(3'000'000, 'x');
  EXPECT_TRUE(replace_file(file_, large, 0600));
  EXPECT_EQ(text(), large);
  EXPECT_EQ(status().st_mode & 07777U, 0600U);
  EXPECT_TRUE(replace_file(file_, "", 0600));
  EXPECT_EQ(text(), "");
  EXPECT_EQ(files(), 1U);
}

TEST_F(ReplaceFileTest, BelongsToTheOwnerIfRootAsks) {
  const bool root = ::geteuid() == 0;
  EXPECT_TRUE(replace_file(file_, "x", 0600, FileOwner{65'534, 65'534}));
  EXPECT_EQ(status().st_uid, root ? 65'534U : ::geteuid());
  EXPECT_EQ(status().st_gid, root ? 65'534U : ::getegid());
}

TEST_F(ReplaceFileTest, WhatHasTheOtherNameIsReplacedAndNotFollowed) {
  std::ofstream{folder_ / "victim"} << "kept";
  fs::create_symlink(folder_ / "victim", folder_ / "file.new");
  EXPECT_TRUE(replace_file(file_, "x", 0600));
  EXPECT_EQ(read_file(folder_ / "victim", 10).value(), "kept");
  ASSERT_EQ(::mkfifo((folder_ / "file.new").c_str(), 0600), 0);
  EXPECT_TRUE(replace_file(file_, "y", 0600)) << "and it does not wait";
  EXPECT_EQ(text(), "y");
}

TEST_F(ReplaceFileTest, AfterAnErrorTheFileIsAsItWas) {
  ASSERT_TRUE(replace_file(file_, "old", 0600));
  fs::create_directory(folder_ / "file.new");
  const auto done = replace_file(file_, "new", 0600);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, EEXIST);
  EXPECT_EQ(done.error().message, "File exists");
  fs::remove(folder_ / "file.new");

  struct rlimit before {};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const struct rlimit small { 4'096, before.rlim_max };
  ::setrlimit(RLIMIT_FSIZE, &small);
  const auto full = replace_file(file_, std::string(10'000, 'x'), 0600);
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, EFBIG);
  EXPECT_EQ(text(), "old");
  EXPECT_EQ(files(), 1U) << "nothing half written is left";
  EXPECT_EQ(replace_file(folder_ / "none" / "file", "x", 0600).error().code, ENOENT);
}

}  // namespace
}  // namespace policyd
