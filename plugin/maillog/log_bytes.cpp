// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/maillog/log_bytes.hpp"

#include <lzma.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

namespace limits {
namespace {

using policyd::failure;
using policyd::UniqueFd;

constexpr std::size_t kInputSize = 128UL * 1024;
// What unpacking may take: xz -9 needs 65 MiB, zstd --ultra -22 the same.
constexpr std::uint64_t kMaxXzMemory = 96UL * 1024 * 1024;
constexpr int kMaxZstdWindowLog = 26;

// The file, of which the first bytes can be seen before they are taken.
class Input {
 public:
  explicit Input(UniqueFd file) : file_(std::move(file)), buffer_(kInputSize) {}

  // What was read and not taken yet; empty at the end of the file.
  Result<std::span<const char>> more(std::size_t wanted = 1) {
    if (end_ - begin_ < wanted && !at_end_) {
      std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
      end_ -= std::exchange(begin_, 0);
    }
    while (end_ - begin_ < wanted && !at_end_) {
      const ssize_t size = ::read(file_.get(), buffer_.data() + end_, buffer_.size() - end_);
      if (size < 0 && errno == EINTR) continue;
      if (size < 0) return failure(std::strerror(errno));
      at_end_ = size == 0;
      end_ += static_cast<std::size_t>(size);
      position_ += static_cast<std::uint64_t>(size);
    }
    return std::span<const char>{buffer_.data() + begin_, end_ - begin_};
  }
  void take(std::size_t size) { begin_ += size; }
  // Continues there instead, if the file allows it.
  bool seek(std::uint64_t position) {
    if (::lseek(file_.get(), static_cast<off_t>(position), SEEK_SET) < 0) return false;
    begin_ = end_ = 0;
    at_end_ = false;
    position_ = position;
    return true;
  }
  // Of the file; 0 for a pipe.
  [[nodiscard]] std::uint64_t size() const {
    struct stat about {};
    if (::fstat(file_.get(), &about) != 0 || !S_ISREG(about.st_mode)) return 0;
    return static_cast<std::uint64_t>(about.st_size);
  }
  [[nodiscard]] std::uint64_t position() const { return position_; }
  // Past the buffer, which must be empty.
  Result<std::size_t> read_past(std::span<char> into) {
    for (;;) {
      const ssize_t size = ::read(file_.get(), into.data(), into.size());
      if (size < 0 && errno == EINTR) continue;
      if (size < 0) return failure(std::strerror(errno));
      position_ += static_cast<std::uint64_t>(size);
      return static_cast<std::size_t>(size);
    }
  }

 private:
  UniqueFd file_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  bool at_end_ = false;
  std::uint64_t position_ = 0;
};

class PlainBytes final : public LogBytes {
 public:
  PlainBytes(Input input, std::uint64_t end) : input_(std::move(input)) {
    const std::uint64_t size = input_.size();
    is_cut_ = size > end && input_.seek(size - end - 1);
  }
  Result<std::size_t> read(std::span<char> into) override {
    if (passed_) return input_.read_past(into);
    const auto first = input_.more();
    if (!first) return tl::unexpected{first.error()};
    const std::size_t size = std::min(first->size(), into.size());
    std::copy_n(first->begin(), size, into.begin());
    input_.take(size);
    passed_ = size == first->size();
    return size;
  }
  [[nodiscard]] std::uint64_t position() const override { return input_.position(); }
  [[nodiscard]] bool is_cut() const override { return is_cut_; }

 private:
  Input input_;
  bool is_cut_ = false;
  bool passed_ = false;  // the bytes that were read to learn what it is
};

// What the three kinds have in common: input goes in, output comes out, until the input ends, which
// must be where a member ends.
class PackedBytes : public LogBytes {
 public:
  explicit PackedBytes(Input input) : input_(std::move(input)) {}
  Result<std::size_t> read(std::span<char> into) final {
    for (;;) {
      const auto more = input_.more();
      if (!more) return tl::unexpected{more.error()};
      Step step = unpack(*more, into);
      input_.take(step.taken);
      if (step.made > 0) return step.made;  // an Error comes again with the next call
      if (!step.problem.empty()) return failure(std::move(step.problem));
      if (!more->empty()) continue;
      if (between_members()) return 0;
      return failure("it ends in the middle of compressed data");
    }
  }
  [[nodiscard]] std::uint64_t position() const final { return input_.position(); }

 protected:
  struct Step {
    std::size_t taken = 0;
    std::size_t made = 0;
    std::string problem;
  };
  // `in` is empty at the end of the file.
  virtual Step unpack(std::span<const char> in, std::span<char> out) = 0;
  [[nodiscard]] virtual bool between_members() const = 0;

 private:
  Input input_;
};

class GzipBytes final : public PackedBytes {
 public:
  explicit GzipBytes(Input input) : PackedBytes(std::move(input)) {
    constexpr int kGzipOnly = 16 + MAX_WBITS;
    ready_ = ::inflateInit2(&stream_, kGzipOnly) == Z_OK;
  }
  ~GzipBytes() override { ::inflateEnd(&stream_); }
  GzipBytes(const GzipBytes&) = delete;
  GzipBytes& operator=(const GzipBytes&) = delete;

 private:
  Step unpack(std::span<const char> in, std::span<char> out) override {
    if (!ready_) return {0, 0, "not enough memory to unpack it"};
    if (in.empty()) return {};
    if (between_) {
      // Padding by zeros, as tape tools leave it, is no member.
      const auto zeros = std::find_if(in.begin(), in.end(), [](char c) { return c != 0; });
      if (zeros != in.begin()) return {static_cast<std::size_t>(zeros - in.begin()), 0, {}};
      ::inflateReset(&stream_);
      between_ = false;
    }
    // zlib's interface does not promise const, but does not write.
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
    stream_.avail_in = static_cast<uInt>(in.size());
    stream_.next_out = reinterpret_cast<Bytef*>(out.data());
    stream_.avail_out = static_cast<uInt>(out.size());
    const int code = ::inflate(&stream_, Z_NO_FLUSH);
    Step step{in.size() - stream_.avail_in, out.size() - stream_.avail_out, {}};
    between_ = code == Z_STREAM_END;
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR) {
      step.problem = "its gzip data is damaged";
    }
    return step;
  }
  [[nodiscard]] bool between_members() const override { return between_; }

  z_stream stream_{};
  bool ready_ = false;
  bool between_ = true;
};

class XzBytes final : public PackedBytes {
 public:
  explicit XzBytes(Input input) : PackedBytes(std::move(input)) {
    ready_ = ::lzma_stream_decoder(&stream_, kMaxXzMemory, LZMA_CONCATENATED) == LZMA_OK;
  }
  ~XzBytes() override { ::lzma_end(&stream_); }
  XzBytes(const XzBytes&) = delete;
  XzBytes& operator=(const XzBytes&) = delete;

 private:
  Step unpack(std::span<const char> in, std::span<char> out) override {
    if (!ready_) return {0, 0, "not enough memory to unpack it"};
    if (ended_) return {in.size(), 0, {}};
    stream_.next_in = reinterpret_cast<const std::uint8_t*>(in.data());
    stream_.avail_in = in.size();
    stream_.next_out = reinterpret_cast<std::uint8_t*>(out.data());
    stream_.avail_out = out.size();
    const lzma_ret code = ::lzma_code(&stream_, in.empty() ? LZMA_FINISH : LZMA_RUN);
    Step step{in.size() - stream_.avail_in, out.size() - stream_.avail_out, {}};
    ended_ = code == LZMA_STREAM_END;
    if (code == LZMA_MEMLIMIT_ERROR) {
      step.problem = "unpacking it takes more than 96 MiB of memory";
    } else if (code != LZMA_OK && code != LZMA_STREAM_END && code != LZMA_BUF_ERROR) {
      step.problem = "its xz data is damaged";
    }
    return step;
  }
  [[nodiscard]] bool between_members() const override { return ended_; }

  lzma_stream stream_ = LZMA_STREAM_INIT;
  bool ready_ = false;
  bool ended_ = false;
};

struct FreeZstd {
  void operator()(ZSTD_DCtx* context) const { ::ZSTD_freeDCtx(context); }
};

class ZstdBytes final : public PackedBytes {
 public:
  explicit ZstdBytes(Input input) : PackedBytes(std::move(input)), context_(::ZSTD_createDCtx()) {
    if (context_) ::ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, kMaxZstdWindowLog);
  }

 private:
  Step unpack(std::span<const char> in, std::span<char> out) override {
    if (!context_) return {0, 0, "not enough memory to unpack it"};
    if (!problem_.empty()) return {0, 0, problem_};
    ZSTD_inBuffer input{in.data(), in.size(), 0};
    ZSTD_outBuffer output{out.data(), out.size(), 0};
    const std::size_t code = ::ZSTD_decompressStream(context_.get(), &output, &input);
    if (::ZSTD_isError(code) == 0) {
      // Without input there is nothing that could begin.
      if (!in.empty() || output.pos > 0) between_ = code == 0;
    } else {
      problem_ = std::string{"its zstd data cannot be unpacked: "} + ::ZSTD_getErrorName(code);
    }
    return {input.pos, output.pos, problem_};
  }
  [[nodiscard]] bool between_members() const override { return between_; }

  std::unique_ptr<ZSTD_DCtx, FreeZstd> context_;
  std::string problem_;
  bool between_ = true;
};

}  // namespace

Result<std::unique_ptr<LogBytes>> LogBytes::open(policyd::UniqueFd file, std::uint64_t end) {
  using std::string_view_literals::operator""sv;
  Input input{std::move(file)};
  constexpr std::size_t kMagic = 6;
  const auto first = input.more(kMagic);
  if (!first) return tl::unexpected{first.error()};
  const std::string_view magic{first->data(), std::min(first->size(), kMagic)};
  if (magic.starts_with("\x1f\x8b"sv)) return std::make_unique<GzipBytes>(std::move(input));
  if (magic.starts_with("\xfd\x37\x7a\x58\x5a\0"sv)) {
    return std::make_unique<XzBytes>(std::move(input));
  }
  if (magic.starts_with("\x28\xb5\x2f\xfd"sv)) return std::make_unique<ZstdBytes>(std::move(input));
  return std::make_unique<PlainBytes>(std::move(input), end);
}

}  // namespace limits
