// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/maillog/growing_log.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

namespace limits {
namespace {

using Lines = std::vector<std::string>;
using policyd::TimePoint;

class GrowingLogs : public testing::Test {
 protected:
  GrowingLogs() {
    std::string name = testing::TempDir() + "log-XXXXXX";
    folder_ = ::mkdtemp(name.data());
    log_ = folder_ / "carbonio.log";
  }
  ~GrowingLogs() override { std::filesystem::remove_all(folder_); }

  void add(const std::string& text) { std::ofstream{log_, std::ios::app} << text; }
  void rotate_to(const std::string& name) { std::filesystem::rename(log_, folder_ / name); }
  // What gzip does: another file, with the time of the one that it replaces.
  void compress(const std::string& name) {
    const auto plain = folder_ / name;
    std::ifstream in{plain};
    const std::string text{std::istreambuf_iterator<char>{in}, {}};
    const std::string packed = plain.string() + ".gz";
    gzFile file = ::gzopen(packed.c_str(), "wb");
    ::gzwrite(file, text.data(), static_cast<unsigned>(text.size()));
    ::gzclose(file);
    std::filesystem::last_write_time(packed, std::filesystem::last_write_time(plain));
    std::filesystem::remove(plain);
  }
  // The lines since the last call.
  Lines read() {
    Lines out;
    const auto log = GrowingLog::open(log_, position_, stopped_at_);
    if (!log) return {log.error().message};
    const auto position = log->read([&](LogLines& lines) {
      while (const auto line = lines.next()) out.emplace_back(*line);
    });
    if (!position) return {position.error().message};
    position_ = *position;
    stopped_at_ = policyd::wall_clock();
    return out;
  }

  std::filesystem::path folder_;
  std::filesystem::path log_;
  std::optional<LogPosition> position_;
  TimePoint stopped_at_{};
};

TEST_F(GrowingLogs, AreReadOnFromWhereReadingStopped) {
  add("one\ntwo\n");
  EXPECT_EQ(read(), (Lines{"one", "two"}));
  EXPECT_EQ(read(), Lines{});
  add("three\nfo");
  EXPECT_EQ(read(), (Lines{"three"}));  // the other one is being written
  add("ur\n");
  EXPECT_EQ(read(), (Lines{"four"}));
}

TEST_F(GrowingLogs, AreReadOverARotation) {
  add("one\n");
  read();
  add("two\n");
  rotate_to("carbonio.log-20261126");
  add("three\n");
  EXPECT_EQ(read(), (Lines{"two", "three"}));
  rotate_to("carbonio.log.1");
  add("four\n");
  EXPECT_EQ(read(), (Lines{"four"}));
}

TEST_F(GrowingLogs, AreReadOverARotationThatCompresses) {
  add("one\n");
  read();
  add("two\n");
  rotate_to("carbonio.log-20261126");
  compress("carbonio.log-20261126");
  add("three\n");
  EXPECT_EQ(read(), (Lines{"two", "three"}));
  EXPECT_EQ(read(), Lines{});
}

TEST_F(GrowingLogs, DoNotTakeAnOlderFileForTheirs) {
  add("old\n");
  rotate_to("carbonio.log-20261125");
  compress("carbonio.log-20261125");
  std::filesystem::last_write_time(
      folder_ / "carbonio.log-20261125.gz",
      std::filesystem::file_time_type::clock::now() - std::chrono::hours{24});
  add("one\n");
  EXPECT_EQ(read(), (Lines{"one"}));
  position_->offset = 0;  // as if much had been written
  std::filesystem::remove(log_);
  std::ofstream{folder_ / "keeps-the-inode"} << "x";
  add("two\n");
  EXPECT_EQ(read(), (Lines{"two"}));
}

TEST_F(GrowingLogs, AreReadFromTheBeginningOnceTruncated) {
  add("one\ntwo\n");
  read();
  std::filesystem::resize_file(log_, 0);
  add("3\n");
  EXPECT_EQ(read(), (Lines{"3"}));
}

TEST_F(GrowingLogs, AreReadFromTheBeginningIfTheyHaveGrownSince) {
  add("one\ntwo\n");
  read();
  std::filesystem::resize_file(log_, 0);
  add("three\nfour\n");  // more than before
  EXPECT_EQ(read(), (Lines{"three", "four"}));
}

TEST_F(GrowingLogs, HaveLinesThatNeverEndCut) {
  add(std::string(3 * LogLines::kMaxLine, 'x'));
  const Lines lines = read();
  ASSERT_FALSE(lines.empty());
  EXPECT_EQ(lines.front(), std::string(LogLines::kMaxLine, 'x'));
  add("\nnext\n");
  EXPECT_EQ(read().back(), "next");
}

TEST_F(GrowingLogs, AreReadFromTheirEndIfTooMuchWasAdded) {
  add("first\n");
  read();
  // A hole: nothing is written.
  std::filesystem::resize_file(log_, GrowingLog::kMaxBytes + 4096);
  add("\nlast\n");
  const Lines lines = read();
  EXPECT_EQ(lines.back(), "last");
  EXPECT_EQ(read(), Lines{});
}

TEST_F(GrowingLogs, SayWhyTheyCannotBeRead) {
  EXPECT_EQ(read().front(),
            "cannot read the mail log " + log_.string() + ": No such file or directory");
  std::filesystem::create_directory(log_);
  EXPECT_EQ(read().front(), "cannot read the mail log " + log_.string() + ": it is not a file");
  std::filesystem::remove(log_);
  ASSERT_EQ(::mkfifo(log_.c_str(), 0600), 0);
  EXPECT_EQ(read().front(), "cannot read the mail log " + log_.string() + ": it is not a file");
}

}  // namespace
}  // namespace limits
