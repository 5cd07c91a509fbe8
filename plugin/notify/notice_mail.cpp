// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/notify/notice_mail.hpp"

#include <fmt/core.h>

#include <string_view>

#include "plugin/terminal/markup.hpp"
#include "plugin/terminal/output.hpp"

namespace limits {
namespace {

constexpr std::size_t kNoticeWidth = 72;

// RFC 2045: lines of 7-bit characters, 76 at most.
std::string quoted_printable(std::string_view text) {
  constexpr std::size_t kMaxLine = 75;
  std::string out;
  std::size_t column = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\n') {
      out += c;
      column = 0;
      continue;
    }
    const bool at_end = i + 1 == text.size() || text[i + 1] == '\n';
    const bool plain = (c > ' ' && c < 0x7F && c != '=') || (c == ' ' && !at_end);
    std::string piece =
        plain ? std::string(1, c) : fmt::format("={:02X}", static_cast<unsigned char>(c));
    if (column + piece.size() > kMaxLine) {
      out += "=\n";
      column = 0;
    }
    // A line of a single '.' would end the mail.
    if (c == '.' && column == 0) piece = "=2E";
    out += piece;
    column += piece.size();
  }
  return out;
}

}  // namespace

std::string plain_text(const NoticeText& notice) {
  std::string out;
  const auto add = [&](const std::vector<std::string>& lines, std::size_t indent) {
    for (const std::string& line : lines) out += std::string(indent, ' ') + line + '\n';
  };
  const auto add_paragraph = [&](const std::string& text) {
    if (text.empty()) return;
    if (!out.empty() && !out.ends_with("\n\n")) out += '\n';
    add(wrapped(text, kNoticeWidth), 0);
  };
  add_paragraph(notice.lead);
  for (const NoticeSection& section : notice.sections) {
    add_paragraph(section.title);
    out += '\n';
    for (const NoticeItem& item : section.items) {
      add(wrapped(item.text, kNoticeWidth - 2), 2);
      for (const auto& [label, command] : item.commands) {
        out += fmt::format("    {}:\n", label);
        add(wrapped_command(command, kNoticeWidth - 6), 6);
      }
      out += '\n';
    }
    if (!section.more.empty()) out += fmt::format("  {}\n\n", section.more);
  }
  add_paragraph(notice.closing);
  return out;
}

std::string html_text(const NoticeText& notice) {
  std::string out = "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"></head><body>\n";
  const auto add = [&](std::string_view tag, std::string_view text) {
    if (!text.empty()) out += fmt::format("<{}>{}</{}>\n", tag, in_markup(text), tag);
  };
  add("p", notice.lead);
  for (const NoticeSection& section : notice.sections) {
    add("h3", section.title);
    for (const NoticeItem& item : section.items) {
      add("p", item.text);
      for (const auto& [label, command] : item.commands) {
        out += fmt::format("<p>{}: <code>{}</code></p>\n", in_markup(label), in_markup(command));
      }
    }
    add("p", section.more);
  }
  add("p", notice.closing);
  return out + "</body></html>\n";
}

std::string mail_of(const NoticeText& notice, const std::vector<std::string>& to) {
  // '=' followed by '_' is nothing that the encoding of the parts contains.
  constexpr std::string_view kBoundary = "=_carbonio-limits_=";
  std::string out = "To: ";
  for (std::size_t i = 0; i < to.size(); ++i) out += (i == 0 ? "" : ",\n ") + to[i];
  out += fmt::format(
      "\nSubject: {}\nAuto-Submitted: auto-generated\nMIME-Version: 1.0\n"
      "Content-Type: multipart/alternative; boundary=\"{}\"\n",
      notice.subject, kBoundary);
  const auto add = [&](std::string_view type, const std::string& text) {
    out += fmt::format(
        "\n--{}\nContent-Type: text/{}; charset=utf-8\n"
        "Content-Transfer-Encoding: quoted-printable\n\n{}",
        kBoundary, type, quoted_printable(text));
  };
  add("plain", plain_text(notice));
  add("html", html_text(notice));
  return out + fmt::format("\n--{}--\n", kBoundary);
}

}  // namespace limits
