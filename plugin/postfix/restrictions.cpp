// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/postfix/restrictions.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <fstream>
#include <utility>

#include "daemon/base/ascii.hpp"
#include "hooks/system/run_program.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

constexpr std::string_view kBlank = " \t\r\n";
constexpr std::size_t kMaxMapBytes = std::size_t{1} << 20;
constexpr std::chrono::seconds kMapDeadline{10};
constexpr int kMaxDepth = 10;

std::string_view without_blanks(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

std::string_view first_word(std::string_view text) {
  return text.substr(0, text.find_first_of(kBlank));
}

bool is_reply_code(std::string_view word) {
  return word.size() == 3 && (word[0] == '4' || word[0] == '5') && policyd::is_digit(word[1]) &&
         policyd::is_digit(word[2]);
}

// What an access map answers, access(5): a word with a text, or restrictions.
bool is_permit_answer(std::string_view answer, const std::map<std::string, std::string>& classes) {
  constexpr std::array<std::string_view, 13> kWithText = {
      "reject", "defer", "defer_if_reject", "defer_if_permit", "hold", "discard",
      "warn",   "info",  "redirect",        "filter",          "bcc",  "dunno",
      "prepend"};
  const std::string word = lower_cased(first_word(answer));
  if (is_reply_code(word) || std::find(kWithText.begin(), kWithText.end(), word) != kWithText.end())
    return false;
  if (word == "ok" || (!word.empty() && std::all_of(word.begin(), word.end(), policyd::is_digit)))
    return true;
  for (const std::string& each : restriction_words(with_classes(answer, classes))) {
    if (lower_cased(each).starts_with("permit")) return true;
    if (equal_ignoring_case(each, "reject")) break;
  }
  return false;
}

bool is_refusing_answer(std::string_view answer) {
  const std::string word = lower_cased(first_word(answer));
  return is_reply_code(word) || word.starts_with("reject") || word.starts_with("defer");
}

struct MapEntry {
  std::string_view key;
  std::string_view answer;
};

// Where the key ends: at a blank, and that of /a pattern/ after it.
std::size_t end_of_key(std::string_view line) {
  std::size_t from = line.starts_with('!') ? 1 : 0;
  if (line.substr(from).starts_with('/')) {
    for (++from; from < line.size() && line[from] != '/'; ++from) from += line[from] == '\\';
  }
  return line.find_first_of(kBlank, std::min(from, line.size()));
}

// Lines that begin with a blank continue the one before.
std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> out;
  for (const std::string_view line : split(text, '\n')) {
    const std::string_view plain = without_blanks(line);
    if (plain.empty() || plain.front() == '#') continue;
    if (!out.empty() && kBlank.find(line.front()) != std::string_view::npos) {
      out.back() += " " + std::string{plain};
    } else {
      out.emplace_back(plain);
    }
  }
  return out;
}

// The views point into `lines`.
std::vector<MapEntry> entries_of(const std::vector<std::string>& lines) {
  std::vector<MapEntry> out;
  for (const std::string_view line : lines) {
    const std::size_t end = end_of_key(line);
    if (end == std::string_view::npos) continue;
    out.push_back({line.substr(0, end), without_blanks(line.substr(end))});
  }
  return out;
}

std::optional<std::string> read_text(const std::string& file) {
  std::ifstream in{file, std::ios::binary};
  std::error_code code;
  if (!in || !std::filesystem::is_regular_file(file, code)) return std::nullopt;
  std::string text(kMaxMapBytes, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() == kMaxMapBytes && in.peek() != std::ifstream::traits_type::eof()) {
    return std::nullopt;
  }
  return text;
}

// Those of "{{/a/ OK}, {/b/ REJECT no}}", one a line.
std::string lines_of_inline(std::string_view name) {
  std::string text;
  for (const char c : name) {
    const char next = c == '{' || c == '}' || c == ',' ? '\n' : c;
    const bool at_beginning = text.empty() || text.back() == '\n';
    if (!at_beginning || kBlank.find(next) == std::string_view::npos) text += next;
  }
  return text;
}

}  // namespace

std::vector<std::string> restriction_words(std::string_view list) {
  std::vector<std::string> words;
  std::string word;
  int depth = 0;
  for (const char c : list) {
    if (c == '{') ++depth;
    const bool between = depth == 0 && (c == ',' || kBlank.find(c) != std::string_view::npos);
    if (!between) word += c;
    if (c == '}' && depth > 0) --depth;
    if (between && !word.empty()) words.push_back(std::exchange(word, {}));
  }
  if (!word.empty()) words.push_back(word);
  return words;
}

std::string policy_service_of(const std::string& word) {
  if (word.substr(0, 1) != "{") return word;
  const auto words = restriction_words(std::string_view{word}.substr(1, word.size() - 2));
  return words.empty() ? std::string{} : words.front();
}

std::string with_classes(std::string_view list, const std::map<std::string, std::string>& classes) {
  std::string out{list};
  for (int depth = 0; depth < kMaxDepth && !classes.empty(); ++depth) {
    std::string next;
    bool replaced = false;
    for (const std::string& word : restriction_words(out)) {
      const auto found = classes.find(word);
      replaced = replaced || found != classes.end();
      next += (next.empty() ? "" : " ") + (found == classes.end() ? word : found->second);
    }
    if (!replaced || next.size() > kMaxMapBytes) break;
    out = std::move(next);
  }
  return out;
}

bool map_permits(std::string_view text, const std::map<std::string, std::string>& classes) {
  const auto lines = lines_of(text);
  const auto all = entries_of(lines);
  return std::any_of(all.begin(), all.end(), [&](const MapEntry& entry) {
    return is_permit_answer(entry.answer, classes);
  });
}

bool map_refuses_empty_sender(std::string_view text) {
  const auto lines = lines_of(text);
  const auto all = entries_of(lines);
  return std::any_of(all.begin(), all.end(), [](const MapEntry& entry) {
    return (entry.key == "<>" || entry.key == "/^<>$/") && is_refusing_answer(entry.answer);
  });
}

std::optional<std::string> read_access_map(std::string_view map, const std::string& postconf) {
  constexpr std::string_view kProxy = "proxy:";
  constexpr std::array<std::string_view, 9> kFiles = {"hash", "btree",  "lmdb", "cdb",     "dbm",
                                                      "cidr", "regexp", "pcre", "texthash"};
  while (map.starts_with(kProxy)) map.remove_prefix(kProxy.size());
  const std::size_t colon = map.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const std::string_view kind = map.substr(0, colon);
  std::string name{map.substr(colon + 1)};
  const bool braces = name.starts_with('{');
  if (kind == "static") {
    return "all " + (braces ? name.substr(1, name.find('}') - 1) : name);
  }
  if (kind == "inline") {  // "{a=OK, {b = REJECT no}}"
    std::replace(name.begin(), name.end(), '=', ' ');
    return lines_of_inline(name);
  }
  if (std::find(kFiles.begin(), kFiles.end(), kind) == kFiles.end()) return std::nullopt;
  if (braces) return lines_of_inline(name);
  if (auto text = read_text(name)) return text;
  const std::string postmap = (std::filesystem::path{postconf}.parent_path() / "postmap").string();
  const auto output = carbonio::run_program({{postmap, "-s", std::string{map}}, kMapDeadline});
  if (!output || output->status != 0) return std::nullopt;
  return output->out;
}

}  // namespace limits
