// SPDX-License-Identifier: AGPL-3.0-only
// Output of the command: sentences, aligned tables, text wrapped to the terminal, JSON. Names come
// from the database and from strangers, so here, and for all output, control characters and changes
// of direction are escaped. Colour and
// bars only on a terminal; NO_COLOR disables colour (https://no-color.org).
#pragma once

#include <cstdint>
#include <iosfwd>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace limits {

// Properties of standard output, found by main.
struct Style {
  bool terminal = false;
  bool colour = false;
  std::size_t width = 0;  // 0: unknown, so nothing is cut
};

enum class Colour : std::uint8_t { none, bold, dim, red, yellow, green };

struct Cell {
  std::string text;
  Colour colour = Colour::none;
};

// Whether a column is cut with "…" if the terminal is too narrow, and which columns first.
enum class Shrinks : std::uint8_t { never, last, first };

struct Column {
  std::string title;
  bool right = false;  // numbers
  Shrinks shrinks = Shrinks::never;
};

class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  void add(std::vector<Cell> row);
  [[nodiscard]] bool empty() const { return rows_.empty(); }
  [[nodiscard]] std::size_t width() const;      // of a line if nothing is cut
  [[nodiscard]] std::size_t min_width() const;  // if all columns that may shrink are cut

 private:
  friend class Output;
  [[nodiscard]] std::vector<std::size_t> widths() const;
  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

class Output {
 public:
  Output(std::ostream& out, Style style) : out_(out), style_(style) {}

  [[nodiscard]] const Style& style() const { return style_; }
  void line(std::string_view text);
  void line(const Cell& left, const Cell& right);
  void text(std::string_view text);  // verbatim
  void note(std::string_view text);  // "Note: ..."
  void print(const Table& table);
  void print(const nlohmann::json& value);
  void flush();

 private:
  void print_cell(const Cell& cell);

  std::ostream& out_;
  Style style_;
};

// "██████▌   ": `percent` of `width` characters; full from 100 on.
std::string bar(double percent, std::size_t width);

// Lines of at most `width` columns; a longer word gets a line of its own. Width 0: one line.
std::vector<std::string> wrapped(std::string_view text, std::size_t width);

// The same for a command that is to be copied: a line that ends outside quotes ends in a backslash
// for the shell. Names in quotes stay whole; to an SQL statement in double quotes a line break
// outside its literals is as good as a blank.
std::vector<std::string> wrapped_command(std::string_view text, std::size_t width);

// The columns that are left to the right of `label`, at least 30; 0 if the width is unknown.
std::size_t room_beside(const Output& output, std::string_view label);

// Prints `label` and, to the right of it, `text`; further lines are indented to where it starts.
void print_wrapped(Output& output, const Cell& label, const Cell& text);

}  // namespace limits
