// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/base/read_file.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>

#include "daemon/base/unique_fd.hpp"

namespace policyd {
namespace {

namespace fs = std::filesystem;

class ReadFileTest : public ::testing::Test {
 protected:
  ReadFileTest() {
    std::string name = (fs::temp_directory_path() / "limits-read-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
  }
  ~ReadFileTest() override { fs::remove_all(folder_); }

  fs::path file_of(std::size_t size) {
    std::ofstream{folder_ / "file"} << std::string(size, 'x');
    return folder_ / "file";
  }

  fs::path folder_;
};

TEST_F(ReadFileTest, ReadsAllUpToTheBound) {
  EXPECT_EQ(read_file(file_of(0), 10).value(), "");
  EXPECT_EQ(read_file(file_of(10), 10).value(), "xxxxxxxxxx");
  EXPECT_EQ(read_file(file_of(100'000), 100'000).value().size(), 100'000U);
  const auto larger = read_file(file_of(11), 10);
  ASSERT_FALSE(larger);
  EXPECT_EQ(larger.error().code, EFBIG);
  EXPECT_EQ(larger.error().message, "it is larger than 10 bytes");
}

TEST_F(ReadFileTest, ReportsWhyAFileCannotBeRead) {
  EXPECT_EQ(read_file(folder_ / "none", 10).error().code, ENOENT);
  EXPECT_EQ(read_file(folder_ / "none", 10).error().message, "No such file or directory");
  EXPECT_EQ(read_file(folder_, 10).error().code, EISDIR);
  ASSERT_EQ(::mkfifo((folder_ / "fifo").c_str(), 0600), 0);
  EXPECT_EQ(read_file(folder_ / "fifo", 10).error().code, EINVAL) << "and does not wait";
}

TEST_F(ReadFileTest, ReadsAPipeToItsEnd) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  const UniqueFd from{ends[0]};
  UniqueFd to{ends[1]};
  ASSERT_EQ(::write(to.get(), "text", 4), 4);
  to.reset();
  EXPECT_EQ(read_to_end(from.get(), 10).value(), "text");
}

}  // namespace
}  // namespace policyd
