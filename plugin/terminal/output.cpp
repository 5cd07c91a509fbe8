// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/terminal/output.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <numeric>
#include <ostream>
#include <utility>

#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

constexpr std::string_view kGap = "  ";
// A column is cut to the preferred width, or if necessary to the minimum.
constexpr std::size_t kPreferredWidth = 16;
constexpr std::size_t kMinWidth = 8;

std::string_view code_of(Colour colour) {
  constexpr std::array<std::string_view, 6> kCodes = {"",         "\033[1m",  "\033[2m",
                                                      "\033[31m", "\033[33m", "\033[32m"};
  return kCodes.at(static_cast<std::size_t>(colour));
}

// At most `width` columns; "…" at the end if something is cut.
std::string fitted(const std::string& text, std::size_t width) {
  if (width_of(text) <= width) return text;
  std::string out;
  std::size_t columns = 0;
  for (std::string_view rest = text;;) {
    const Character next = take_character(rest);
    columns += next.columns;
    if (columns > width - 1) return out + "…";
    out += next.bytes;
  }
}

// Where a command, as a shell reads it, may be broken.
class ShellBreaks {
 public:
  enum class Break : std::uint8_t { none, in_shell, in_statement };

  Break at(char c) {
    if (std::exchange(escaped_, false)) return Break::none;
    if (quote_ == '\'') {
      if (c == quote_) quote_ = 0;
      return Break::none;
    }
    if (c == '\\') {
      escaped_ = true;
    } else if (quote_ == '"') {
      if (c == quote_) quote_ = 0;
      if (c == '\'') in_literal_ = !in_literal_;
      if (c == ' ' && !in_literal_) return Break::in_statement;
    } else if (c == '\'' || c == '"') {
      quote_ = c;
      in_literal_ = false;
    } else if (c == ' ') {
      return Break::in_shell;
    }
    return Break::none;
  }

 private:
  char quote_ = 0;
  bool in_literal_ = false;
  bool escaped_ = false;
};

}  // namespace

void Output::print_cell(const Cell& cell) {
  const bool coloured = style_.colour && cell.colour != Colour::none && !cell.text.empty();
  if (coloured) out_ << code_of(cell.colour);
  out_ << cell.text;
  if (coloured) out_ << "\033[0m";
}

void Output::line(std::string_view text) { out_ << escaped(text) << '\n'; }

void Output::line(const Cell& left, const Cell& right) {
  print_cell({escaped(left.text), left.colour});
  print_cell({escaped(right.text), right.colour});
  out_ << '\n';
}

void Output::text(std::string_view text) { out_ << text; }

void Output::flush() { out_.flush(); }

void Output::note(std::string_view text) {
  print_wrapped(*this, {"Note: ", Colour::yellow}, {std::string{text}});
}

void Table::add(std::vector<Cell> row) {
  for (Cell& cell : row) cell.text = escaped(cell.text);
  rows_.push_back(std::move(row));
}

std::vector<std::size_t> Table::widths() const {
  std::vector<std::size_t> out;
  out.reserve(columns_.size());
  for (const Column& column : columns_) out.push_back(width_of(column.title));
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) out[i] = std::max(out[i], width_of(row[i].text));
  }
  return out;
}

std::size_t Table::width() const {
  const auto all = widths();
  return std::accumulate(all.begin(), all.end(), kGap.size() * (all.size() - 1));
}

std::size_t Table::min_width() const {
  auto all = widths();
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (columns_[i].shrinks != Shrinks::never) all[i] = std::min(all[i], kMinWidth);
  }
  return std::accumulate(all.begin(), all.end(), kGap.size() * (all.size() - 1));
}

void Output::print(const Table& table) {
  std::vector<std::size_t> widths = table.widths();
  if (style_.terminal && style_.width != 0) {
    std::size_t total = table.width();
    const auto cut = [&](Shrinks which, std::size_t min_width) {
      for (std::size_t i = 0; i < widths.size() && total > style_.width; ++i) {
        if (table.columns_[i].shrinks != which || widths[i] <= min_width) continue;
        const std::size_t excess = std::min(total - style_.width, widths[i] - min_width);
        widths[i] -= excess;
        total -= excess;
      }
    };
    for (const Shrinks which : {Shrinks::first, Shrinks::last}) {
      for (const std::size_t min_width : {kPreferredWidth, kMinWidth}) cut(which, min_width);
    }
  }

  const auto print_row = [&](const std::vector<Cell>& row) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string text = fitted(row[i].text, widths[i]);
      const std::string padding(widths[i] - width_of(text), ' ');
      const bool right = table.columns_[i].right;
      const bool last = i + 1 == row.size();
      if (right) out_ << padding;
      print_cell({text, row[i].colour});
      if (!right && !last) out_ << padding;
      if (!last) out_ << kGap;
    }
    out_ << '\n';
  };
  std::vector<Cell> titles;
  for (const Column& column : table.columns_) titles.push_back({column.title, Colour::bold});
  print_row(titles);
  for (const auto& row : table.rows_) print_row(row);
}

void Output::print(const nlohmann::json& value) {
  // Text from the database may be anything. ASCII only: a terminal gets no control character and
  // no change of direction, and look-alike letters show. Invalid UTF-8 becomes U+FFFD.
  out_ << value.dump(2, ' ', true, nlohmann::json::error_handler_t::replace) << '\n';
}

std::string bar(double percent, std::size_t width) {
  constexpr std::array<std::string_view, 8> kEighths = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const double share = std::clamp(percent, 0.0, 100.0) / 100.0;
  const auto eighths = static_cast<std::size_t>(share * static_cast<double>(width * 8));
  std::string out;
  for (std::size_t i = 0; i < eighths / 8; ++i) out += "█";
  out += kEighths.at(eighths % 8);
  const std::size_t used = eighths / 8 + (eighths % 8 != 0 ? 1 : 0);
  out.append(width - used, ' ');
  return out;
}

std::vector<std::string> wrapped(std::string_view text, std::size_t width) {
  std::vector<std::string> lines(1);
  if (width == 0) {
    lines.front() = text;
    return lines;
  }
  std::size_t column = 0;
  for (const std::string_view word : split(text, ' ')) {
    if (column > 0 && column + 1 + width_of(word) > width) {
      lines.emplace_back();
      column = 0;
    }
    if (column > 0) {
      lines.back() += ' ';
      ++column;
    }
    lines.back() += word;
    column += width_of(word);
  }
  return lines;
}

std::vector<std::string> wrapped_command(std::string_view text, std::size_t width) {
  constexpr std::size_t kMark = 2;  // " \\"
  if (width == 0) return {std::string{text}};
  std::vector<std::string> lines(1);
  ShellBreaks breaks;
  auto before = ShellBreaks::Break::none;
  for (std::size_t from = 0; from < text.size();) {
    std::size_t end = from;
    auto after = ShellBreaks::Break::none;
    for (; end < text.size(); ++end) {
      after = breaks.at(text[end]);
      if (after != ShellBreaks::Break::none) break;
    }
    const std::string_view word = text.substr(from, end - from);
    if (before == ShellBreaks::Break::none) {
      lines.back() += word;
    } else if (width_of(lines.back()) + 1 + width_of(word) + kMark <= width) {
      lines.back() += ' ';
      lines.back() += word;
    } else {
      if (before == ShellBreaks::Break::in_shell) lines.back() += " \\";
      lines.emplace_back(word);
    }
    before = after;
    from = end + 1;
  }
  return lines;
}

std::size_t room_beside(const Output& output, std::string_view label) {
  constexpr std::size_t kMinRoom = 30;
  const std::size_t width = output.style().width;
  return width == 0 ? 0 : std::max(kMinRoom, width - std::min(width, width_of(label)));
}

void print_wrapped(Output& output, const Cell& label, const Cell& text) {
  Cell left = label;
  for (const std::string& line : wrapped(escaped(text.text), room_beside(output, label.text))) {
    output.line(left, {line, text.colour});
    left.text.assign(width_of(label.text), ' ');
  }
}

}  // namespace limits
