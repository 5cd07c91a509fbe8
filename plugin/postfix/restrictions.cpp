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

// What an access map answers: access(5).
bool is_permit_answer(std::string_view word) {
  return equal_ignoring_case(word, "OK") || lower_cased(word).starts_with("permit") ||
         (!word.empty() && std::all_of(word.begin(), word.end(), policyd::is_digit));
}

bool is_refusing_answer(std::string_view word) {
  const bool code = word.size() == 3 && (word[0] == '4' || word[0] == '5') &&
                    policyd::is_digit(word[1]) && policyd::is_digit(word[2]);
  return code || lower_cased(word).starts_with("reject") || lower_cased(word).starts_with("defer");
}

struct MapEntry {
  std::string_view key;
  std::string_view answer;  // its first word
};

std::vector<MapEntry> entries_of(std::string_view text) {
  std::vector<MapEntry> out;
  for (const std::string_view line : split(text, '\n')) {
    const std::string_view plain = without_blanks(line);
    const std::size_t end = plain.find_first_of(kBlank);
    if (line.empty() || line.front() == '#' || end == std::string_view::npos) continue;
    const std::string_view answer = without_blanks(plain.substr(end));
    out.push_back({plain.substr(0, end), answer.substr(0, answer.find_first_of(kBlank))});
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
  return text;
}

// "static:OK" as a map with one line, "inline:{a=OK, {b = REJECT no}}" one for each.
std::string lines_of_inline(std::string_view name) {
  std::string text;
  for (const char c : name) text += c == '=' ? ' ' : c == '{' || c == '}' || c == ',' ? '\n' : c;
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

bool map_permits(std::string_view text) {
  const auto all = entries_of(text);
  return std::any_of(all.begin(), all.end(),
                     [](const MapEntry& entry) { return is_permit_answer(entry.answer); });
}

bool map_refuses_empty_sender(std::string_view text) {
  const auto all = entries_of(text);
  return std::any_of(all.begin(), all.end(), [](const MapEntry& entry) {
    return (entry.key == "<>" || entry.key == "/^<>$/") && is_refusing_answer(entry.answer);
  });
}

std::optional<std::string> read_access_map(std::string_view map, const std::string& postconf) {
  constexpr std::array<std::string_view, 9> kFiles = {"hash", "btree",  "lmdb", "cdb",     "dbm",
                                                      "cidr", "regexp", "pcre", "texthash"};
  const std::size_t colon = map.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const std::string_view kind = map.substr(0, colon);
  const std::string name{map.substr(colon + 1)};
  if (kind == "static") return "all " + name;
  if (kind == "inline") return lines_of_inline(name);
  if (std::find(kFiles.begin(), kFiles.end(), kind) == kFiles.end()) return std::nullopt;
  if (auto text = read_text(name)) return text;
  const std::string postmap = (std::filesystem::path{postconf}.parent_path() / "postmap").string();
  const auto output = carbonio::run_program({{postmap, "-s", std::string{map}}, kMapDeadline});
  if (!output || output->status != 0) return std::nullopt;
  return output->out;
}

}  // namespace limits
