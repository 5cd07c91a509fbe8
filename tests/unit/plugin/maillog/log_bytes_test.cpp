// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/maillog/log_bytes.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <lzma.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <string>

#include "plugin/maillog/log_lines.hpp"

namespace limits {
namespace {

policyd::UniqueFd file_of(const std::string& bytes) {
  policyd::UniqueFd file{::memfd_create("log", MFD_CLOEXEC)};
  EXPECT_EQ(::write(file.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  ::lseek(file.get(), 0, SEEK_SET);
  return file;
}

std::string gzip(const std::string& text) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, text.size()) + 32, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string xz(const std::string& text) {
  std::string out(lzma_stream_buffer_bound(text.size()), '\0');
  std::size_t size = 0;
  EXPECT_EQ(lzma_easy_buffer_encode(6, LZMA_CHECK_CRC64, nullptr,
                                    reinterpret_cast<const std::uint8_t*>(text.data()), text.size(),
                                    reinterpret_cast<std::uint8_t*>(out.data()), &size, out.size()),
            LZMA_OK);
  out.resize(size);
  return out;
}

std::string zstd(const std::string& text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
  return out;
}

struct Unpacked {
  std::string text;
  std::string problem;
};

Unpacked unpacked(const std::string& bytes, std::size_t step = 1000) {
  auto log = LogBytes::open(file_of(bytes));
  if (!log) return {{}, log.error().message};
  Unpacked out;
  std::string buffer(step, '\0');
  for (;;) {
    const auto size = (*log)->read(buffer);
    if (!size) {
      out.problem = size.error().message;
      return out;
    }
    if (*size == 0) return out;
    out.text.append(buffer, 0, *size);
  }
}

// Larger than the buffers, and not too easy to compress.
std::string much_text() {
  std::string out;
  for (unsigned i = 0; out.size() < 700'000; ++i) {
    out += "line " + std::to_string(i * 2'654'435'761U) + "\n";
  }
  return out;
}

using Pack = std::string (*)(const std::string&);

TEST(LogBytes, ReadsPlainAndCompressedLogs) {
  const std::string text = much_text();
  EXPECT_EQ(unpacked(text).text, text);
  for (const Pack pack : {&gzip, &xz, &zstd}) {
    const Unpacked result = unpacked(pack(text));
    EXPECT_EQ(result.problem, "");
    EXPECT_TRUE(result.text == text);
    EXPECT_EQ(unpacked(pack("a\n"), 1).text, "a\n");
  }
  EXPECT_EQ(unpacked("").text, "");
  EXPECT_EQ(unpacked("a").text, "a");
}

TEST(LogBytes, ReadsMembersThatFollowEachOther) {
  for (const Pack pack : {&gzip, &xz, &zstd}) {
    const Unpacked result = unpacked(pack("one\n") + pack("") + pack("two\n"));
    EXPECT_EQ(result.problem, "");
    EXPECT_EQ(result.text, "one\ntwo\n");
  }
}

TEST(LogBytes, GivesWhatCameBeforeTheCut) {
  const std::string text = much_text();
  for (const Pack pack : {&gzip, &xz, &zstd}) {
    const std::string whole = pack(text);
    const Unpacked result = unpacked(whole.substr(0, whole.size() - whole.size() / 3));
    EXPECT_EQ(result.problem, "it ends in the middle of compressed data");
    EXPECT_TRUE(text.starts_with(result.text));
    // In the middle of the trailer nothing is missing, but that cannot be checked any more.
    EXPECT_NE(unpacked(whole.substr(0, whole.size() - 1)).problem, "");
  }
  EXPECT_GT(unpacked(gzip(text).substr(0, 100'000)).text.size(), 100'000U);
}

TEST(LogBytes, SaysThatDataIsDamaged) {
  for (const Pack pack : {&gzip, &xz, &zstd}) {
    std::string bytes = pack(much_text());
    for (std::size_t i = bytes.size() / 2; i < bytes.size() / 2 + 64; ++i) bytes[i] ^= 0x55;
    EXPECT_NE(unpacked(bytes).problem, "");
    EXPECT_NE(unpacked(pack("a") + "rubbish that is none").problem, "");
  }
}

LogLines lines_of(const std::string& bytes) { return LogLines{*LogBytes::open(file_of(bytes))}; }

TEST(LogLines, SplitsLines) {
  LogLines lines = lines_of("one\n\nthree\r\nlast");
  EXPECT_EQ(lines.next(), "one");
  EXPECT_EQ(lines.next(), "");
  EXPECT_EQ(lines.next(), "three\r");
  EXPECT_EQ(lines.next(), "last");
  EXPECT_EQ(lines.next(), std::nullopt);
  EXPECT_EQ(lines.next(), std::nullopt);
}

TEST(LogLines, CutsLongLines) {
  for (const std::size_t size : {LogLines::kMaxLine, LogLines::kMaxLine + 1, 5'000'000UL}) {
    const std::string line(size, 'x');
    LogLines lines = lines_of("first\n" + line + "\nlast\n" + line);
    EXPECT_EQ(lines.next(), "first");
    EXPECT_EQ(lines.next(), line.substr(0, LogLines::kMaxLine));
    EXPECT_EQ(lines.next(), "last");
    EXPECT_EQ(lines.next(), line.substr(0, LogLines::kMaxLine));
    EXPECT_EQ(lines.next(), std::nullopt);
    EXPECT_EQ(lines.cut_lines() > 0, size > LogLines::kMaxLine) << size;
  }
}

LogLines end_of(const std::string& bytes, std::uint64_t end) {
  return LogLines{*LogBytes::open(file_of(bytes), end)};
}

TEST(LogLines, OfTheEndOfAPlainLogLeavesOutHalfALine) {
  LogLines lines = end_of("one\ntwo\nthree\n", 10);  // from the first line feed on
  EXPECT_TRUE(lines.is_cut());
  EXPECT_EQ(lines.next(), "two");
  EXPECT_EQ(lines.next(), "three");
  EXPECT_EQ(lines.next(), std::nullopt);
  EXPECT_EQ(end_of("one\ntwo\nthree\n", 9).next(), "three");
  EXPECT_EQ(end_of("one\ntwo\nthree\n", 0).next(), std::nullopt);
  LogLines whole = end_of("one\ntwo\n", 8);
  EXPECT_FALSE(whole.is_cut());
  EXPECT_EQ(whole.next(), "one");
  LogLines packed = end_of(gzip("one\ntwo\n"), 5);
  EXPECT_FALSE(packed.is_cut());
  EXPECT_EQ(packed.next(), "one");
}

TEST(LogLines, TellsThatTheLastLineIsUnfinished) {
  LogLines lines = lines_of("one\ntwo");
  lines.next();
  EXPECT_FALSE(lines.unfinished());
  EXPECT_EQ(lines.next(), "two");
  EXPECT_TRUE(lines.unfinished());
}

TEST(LogLines, LeavesOutHalfALineBeforeDamage) {
  const std::string text = much_text();
  const std::string whole = gzip(text);
  LogLines lines = lines_of(whole.substr(0, whole.size() / 2));
  std::size_t at = 0;
  while (const auto line = lines.next()) {
    ASSERT_EQ(*line, text.substr(at, line->size()));
    at += line->size() + 1;
    ASSERT_EQ(text[at - 1], '\n');
  }
  EXPECT_NE(lines.problem(), "");
}

}  // namespace
}  // namespace limits
