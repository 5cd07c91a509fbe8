// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/dns/dns_answer.hpp"

#include <ares.h>

namespace policyd {

namespace {

constexpr std::size_t kHeaderBytes = 12;
constexpr unsigned kServFail = 2;
constexpr unsigned kNxDomain = 3;

// Moves through a message; a step that would leave it fails.
class Reader {
 public:
  explicit Reader(std::span<const unsigned char> message) : message_(message) {}

  std::optional<unsigned> number() {
    if (message_.size() - at_ < 2) return std::nullopt;
    const unsigned value = message_[at_] * 256U + message_[at_ + 1];
    at_ += 2;
    return value;
  }

  std::optional<std::string> name() {
    if (at_ >= message_.size()) return std::nullopt;
    char* text = nullptr;
    long length = 0;
    const int code = ares_expand_name(message_.data() + at_, message_.data(),
                                      static_cast<int>(message_.size()), &text, &length);
    if (code != ARES_SUCCESS) return std::nullopt;
    std::string name{text};
    ares_free_string(text);
    at_ += static_cast<std::size_t>(length);
    return at_ <= message_.size() ? std::optional{std::move(name)} : std::nullopt;
  }

  bool skip(std::size_t bytes) {
    if (message_.size() - at_ < bytes) return false;
    at_ += bytes;
    return true;
  }

  [[nodiscard]] std::span<const unsigned char> rest() const { return message_.subspan(at_); }

 private:
  std::span<const unsigned char> message_;
  std::size_t at_ = 0;
};

std::string bytes_of(std::span<const unsigned char> bytes) { return {bytes.begin(), bytes.end()}; }

std::optional<std::string> joined_strings(std::span<const unsigned char> data) {
  std::string text;
  while (!data.empty()) {
    const std::size_t length = data[0];
    if (data.size() < 1 + length) return std::nullopt;
    text += bytes_of(data.subspan(1, length));
    data = data.subspan(1 + length);
  }
  return text;
}

// `reader` is at the record's data of `size` bytes.
std::optional<std::string> read_data(Reader reader, DnsType type, std::size_t size) {
  const auto data = reader.rest().first(size);
  switch (type) {
    case DnsType::a:
      return size == 4 ? std::optional{bytes_of(data)} : std::nullopt;
    case DnsType::aaaa:
      return size == 16 ? std::optional{bytes_of(data)} : std::nullopt;
    case DnsType::txt:
      return joined_strings(data);
    case DnsType::mx:
      return reader.number() ? reader.name() : std::nullopt;  // the preference does not matter
    case DnsType::ptr:
      return reader.name();
  }
  return std::nullopt;
}

// Reads one record of the answer section; false if it is malformed.
bool read_record(Reader& reader, DnsType requested, DnsAnswer& answer) {
  constexpr std::size_t kTtlBytes = 4;
  if (!reader.name()) return false;
  const auto type = reader.number();
  const auto dns_class = reader.number();
  if (!type || !dns_class || !reader.skip(kTtlBytes)) return false;
  const auto size = reader.number();
  if (!size || reader.rest().size() < *size) return false;
  const bool is_requested = *type == static_cast<unsigned>(requested) && *dns_class == 1;
  if (is_requested && answer.records.size() < kMaxRecords) {
    auto data = read_data(reader, requested, *size);
    if (!data) return false;
    answer.records.push_back(std::move(*data));
  }
  return reader.skip(*size);
}

DnsStatus status_of(unsigned response_code) {
  if (response_code == 0) return DnsStatus::ok;
  if (response_code == kServFail) return DnsStatus::server_failure;
  return response_code == kNxDomain ? DnsStatus::no_such_domain : DnsStatus::no_answer;
}

}  // namespace

std::optional<DnsAnswer> parse_dns_answer(std::span<const unsigned char> message, DnsType type) {
  if (message.size() < kHeaderBytes) return std::nullopt;
  Reader reader{message};
  reader.skip(2);  // the ID, checked by c-ares
  const unsigned flags = *reader.number();
  const unsigned questions = *reader.number();
  const unsigned answers = *reader.number();
  reader.skip(4);

  DnsAnswer answer;
  answer.status = status_of(flags & 0xFU);
  answer.answered = answers > 0;
  constexpr std::size_t kTypeAndClass = 4;
  for (unsigned i = 0; i < questions; ++i) {
    if (!reader.name() || !reader.skip(kTypeAndClass)) return std::nullopt;
  }
  for (unsigned i = 0; i < answers; ++i) {
    if (!read_record(reader, type, answer)) return std::nullopt;
  }
  return answer;
}

bool is_dns_name(std::string_view text) {
  if (text.ends_with('.')) text.remove_suffix(1);
  if (text.empty() || text.size() > 253) return false;
  std::size_t label = 0;
  for (const char c : text) {
    if (c == '.') {
      if (label == 0) return false;
      label = 0;
      continue;
    }
    const bool valid = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view{"-_+=@"}.find(c) != std::string_view::npos;
    if (!valid || ++label > 63) return false;
  }
  return label > 0;
}

}  // namespace policyd
