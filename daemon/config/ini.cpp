// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/config/ini.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "daemon/base/ascii.hpp"
#include "daemon/base/printable.hpp"

namespace policyd {
namespace {

constexpr std::string_view kWhiteSpace = " \t\r\n\v\f";
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr std::string_view kHereDocument = "<<";

class Reader {
 public:
  Reader(std::string_view text, std::string_view name) : rest_(text), name_(name) {}

  Result<std::vector<IniSection>> read() {
    while (const auto raw = next_line()) {
      const std::string_view line = trimmed(*raw);
      if (line.empty() || line.front() == '#' || line.front() == ';') continue;
      const Result<void> done = line.front() == '[' ? read_section(line) : read_entry(line);
      if (!done) return tl::unexpected(done.error());
    }
    return std::move(sections_);
  }

 private:
  // The next line, without its end; nullopt after the last one.
  std::optional<std::string_view> next_line() {
    if (rest_.empty()) return std::nullopt;
    const std::size_t newline = rest_.find('\n');
    std::string_view line = rest_.substr(0, newline);
    rest_.remove_prefix(newline == std::string_view::npos ? rest_.size() : newline + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    ++number_;
    return line;
  }

  Result<void> read_section(std::string_view line) {
    if (line.back() != ']') return wrong("not a valid '[section]':", line);
    const std::string_view name = trimmed(line.substr(1, line.size() - 2));
    if (name.empty()) return wrong("a section needs a name:", line);
    sections_.push_back({std::string(name), number_, {}});
    return {};
  }

  Result<void> read_entry(std::string_view line) {
    const std::size_t equals = line.find('=');
    const std::string_view key = trimmed(line.substr(0, equals));
    if (equals == std::string_view::npos || key.empty()) {
      return wrong("not a comment, a '[section]' or 'key=value':", line);
    }
    if (sections_.empty()) return wrong("a key before the first '[section]':", line);
    const std::string_view value = trimmed(line.substr(equals + 1));
    IniEntry entry{std::string(key), std::string(value), number_};
    if (value.starts_with(kHereDocument)) {
      auto document = read_here_document(trimmed(value.substr(kHereDocument.size())), line);
      if (!document) return tl::unexpected(document.error());
      entry.value = std::move(*document);
    }
    sections_.back().entries.push_back(std::move(entry));
    return {};
  }

  // `opening` is its first line, for errors.
  Result<std::string> read_here_document(std::string_view mark, std::string_view opening) {
    if (mark.empty()) return wrong("'<<' without the word that ends the value:", opening);
    const std::size_t begin = number_;
    std::string value;
    bool first = true;
    while (const auto line = next_line()) {
      if (trimmed(*line) == mark) return value;
      if (!first) value += '\n';
      first = false;
      value += *line;
    }
    return failure(fmt::format("{}:{}: the value that begins here has no end; add a line {}", name_,
                               begin, in_quotes(mark)));
  }

  [[nodiscard]] tl::unexpected<Error> wrong(std::string_view what, std::string_view line) const {
    return failure(fmt::format("{}:{}: {} {}", name_, number_, what, in_quotes(line)));
  }

  std::string_view rest_;
  std::size_t number_ = 0;  // of the line read last
  std::string_view name_;
  std::vector<IniSection> sections_;
};

}  // namespace

Result<std::vector<IniSection>> parse_ini(std::string_view text, std::string_view name) {
  if (text.size() > kMaxIniBytes) {
    return failure(
        fmt::format("{}: larger than {} bytes, so not a configuration file", name, kMaxIniBytes));
  }
  const std::size_t nul = text.find('\0');
  if (nul != std::string_view::npos) {
    const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<long>(nul), '\n');
    return failure(
        fmt::format("{}:{}: contains a NUL byte, so not a configuration file", name, line));
  }
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  return Reader(text, name).read();
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kWhiteSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kWhiteSpace) - begin + 1);
}

}  // namespace policyd
