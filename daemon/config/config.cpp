// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/config/config.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "daemon/base/did_you_mean.hpp"
#include "daemon/config/config_table.hpp"
#include "daemon/config/ini.hpp"

namespace policyd {
namespace {

constexpr std::size_t kMostWarnings = 100;
constexpr std::string_view kOursName = "carbonio-limits.conf";

struct Module {
  std::string_view name;  // of its section and in [server] modules
  bool Config::*enabled;
};
constexpr std::array kModules = {
    Module{"AccessControl", &Config::access_control}, Module{"Accounting", &Config::accounting},
    Module{"CheckHelo", &Config::check_helo},         Module{"CheckSPF", &Config::check_spf},
    Module{"Greylisting", &Config::greylisting},      Module{"Quotas", &Config::quotas},
};
// What else may stand in the lists without being unknown.
constexpr std::array<std::string_view, 8> kModuleNames = {
    "Core",      "AccessControl", "Accounting",  "Amavis",
    "CheckHelo", "CheckSPF",      "Greylisting", "Quotas"};
constexpr std::array<std::string_view, 2> kProtocolNames = {"Postfix", "Bizanga"};

template <typename List>
bool holds(const List& list, std::string_view word) {
  return std::any_of(list.begin(), list.end(),
                     [word](std::string_view w) { return equal_ignoring_case(w, word); });
}

std::string did_you_mean(std::optional<std::string_view> word) {
  return word ? fmt::format(", did you mean '{}'?", *word) : "";
}

// The sections that have keys, or the keys of one section.
std::vector<std::string_view> known_sections() {
  std::vector<std::string_view> names;
  for (const ConfigKey& key : config_keys()) {
    if (names.empty() || names.back() != key.section) names.push_back(key.section);
  }
  return names;
}

std::vector<std::string_view> known_keys(std::string_view section) {
  std::vector<std::string_view> names;
  for (const ConfigKey& key : config_keys()) {
    if (equal_ignoring_case(key.section, section)) names.push_back(key.name);
  }
  return names;
}

std::optional<std::size_t> find_key(std::string_view section, std::string_view name) {
  const auto keys = config_keys();
  const auto found = std::find_if(keys.begin(), keys.end(), [&](const ConfigKey& key) {
    return equal_ignoring_case(key.section, section) &&
           (key.name == "*" || equal_ignoring_case(key.name, name));
  });
  if (found == keys.end()) return std::nullopt;
  return static_cast<std::size_t>(found - keys.begin());
}

// Puts the two files together.
class Assembly {
 public:
  Result<void> add(std::string_view text, std::string_view file) {
    const auto sections = parse_ini(text, file);
    if (!sections) return tl::unexpected(sections.error());
    for (const IniSection& section : *sections) {
      if (known_keys(section.name).empty()) {
        warn_unknown_section(section, file);
        continue;
      }
      for (const IniEntry& entry : section.entries) {
        Result<void> done = add_entry(section, entry, file);
        if (!done) return done;
      }
    }
    return {};
  }

  Result<LoadedConfig> finish() {
    const Result<void> port = check_port();
    if (!port) return tl::unexpected(port.error());
    note_what_is_not_provided();
    warn_unknown_names("modules", draft_.modules, kModuleNames);
    warn_unknown_names("protocols", draft_.protocols, kProtocolNames);
    disable_unlisted_modules();
    return LoadedConfig{static_cast<const Config&>(draft_), std::move(warnings_),
                        std::move(notices_)};
  }

 private:
  struct Source {
    std::string file;
    std::size_t line = 0;  // 0: the default

    [[nodiscard]] std::string to_string() const { return fmt::format("{}:{}", file, line); }
  };

  Result<void> add_entry(const IniSection& section, const IniEntry& entry, std::string_view file) {
    const auto place = find_key(section.name, entry.key);
    if (!place) {
      warn_unknown_key(section, entry, file);
      return {};
    }
    const ConfigKey& key = config_keys()[*place];
    const Source source{std::string(file), entry.line};
    if (entry.value.empty() && !key.may_be_empty) {
      warn(source, fmt::format("{} in [{}] has no value and is left out", key.name, key.section));
      return {};
    }
    begin_value(key, sources_[*place], source);
    if (const auto rejected = read_config_value(key, entry.value, draft_)) {
      return failure(fmt::format("{}: {} is no value for {} in [{}]; allowed: {}",
                                 source.to_string(), in_quotes(*rejected), key.name, key.section,
                                 allowed_values(key)));
    }
    if (std::holds_alternative<config_key::Flag>(key.into) && is_doubtful_flag(entry.value)) {
      warn(source, fmt::format("{} for {} in [{}] is none of 1, y, yes, on, so it counts as 0",
                               in_quotes(entry.value), key.name, key.section));
    }
    return {};
  }

  // A list goes on within a file and begins anew in the next one; of anything else the last counts.
  void begin_value(const ConfigKey& key, Source& before, const Source& now) {
    const auto* names = std::get_if<config_key::Names>(&key.into);
    const auto* networks = std::get_if<config_key::Networks>(&key.into);
    const bool again = before.line != 0 && before.file == now.file;
    if (names != nullptr && !again) (draft_.*names->into).clear();
    if (networks != nullptr && !again) (draft_.*networks->into).clear();
    const bool ignored = std::holds_alternative<config_key::Ignored>(key.into);
    if (again && names == nullptr && networks == nullptr && !ignored) {
      warn(now, fmt::format("{} in [{}] stands in line {} too; the last one counts", key.name,
                            key.section, before.line));
    }
    before = now;
  }

  Result<void> check_port() {
    const bool path = draft_.port.starts_with('/');
    if (path == draft_.unix_socket) return {};
    const Source& port = source_of("server", "port");
    const Source& where = port.line != 0 ? port : source_of("server", "proto");
    return failure(fmt::format(
        "{}: {} is no value for port in [server]; allowed: {}", where.to_string(),
        in_quotes(draft_.port),
        path ? "1 to 65535 (a path only with proto=unix)" : "with proto=unix an absolute path"));
  }

  // Carbonio's standard file lists both: one calm line, and no more.
  void note_what_is_not_provided() {
    const bool bizanga = holds(draft_.protocols, "Bizanga");
    const bool amavis = holds(draft_.modules, "Amavis");
    const Source& where = source_of("server", bizanga ? "protocols" : "modules");
    if (bizanga || amavis) {
      const std::string_view what = bizanga && amavis
                                        ? "Bizanga in protocols and Amavis in modules are"
                                    : bizanga ? "Bizanga in protocols is"
                                              : "Amavis in modules is";
      notices_.push_back(
          fmt::format("{}: {} not provided and left out; Carbonio's standard file lists both, so "
                      "nothing needs to be done",
                      where.to_string(), what));
    }
    if (draft_.amavis) {
      warn(source_of("Amavis", "enable"),
           "Amavis is enabled but not provided: the rows of amavis_rules have no effect");
    }
  }

  void warn_unknown_names(std::string_view list, const std::vector<std::string>& names,
                          std::span<const std::string_view> known) {
    for (const std::string& name : names) {
      if (holds(known, name) || warnings_.size() >= kMostWarnings) continue;
      warn(source_of("server", list), fmt::format("unknown name {} in {}{}", in_quotes(name), list,
                                                  did_you_mean(nearest(name, known))));
    }
  }

  void disable_unlisted_modules() {
    const Source& list = source_of("server", "modules");
    if (list.line == 0) return;
    for (const Module& module : kModules) {
      if (!(draft_.*module.enabled) || holds(draft_.modules, module.name)) continue;
      draft_.*module.enabled = false;
      warn(source_of(module.name, "enable"),
           fmt::format("{} is enabled but does not run: modules in [server] ({}) does not list it",
                       module.name, list.to_string()));
    }
  }

  void warn_unknown_section(const IniSection& section, std::string_view file) {
    if (warnings_.size() >= kMostWarnings) return;
    const Source source{std::string(file), section.line};
    warn(source, fmt::format("unknown section {}{}", in_quotes(section.name),
                             did_you_mean(nearest(section.name, known_sections()))));
  }

  void warn_unknown_key(const IniSection& section, const IniEntry& entry, std::string_view file) {
    if (warnings_.size() >= kMostWarnings) return;
    std::string hint;
    for (const ConfigKey& key : config_keys()) {
      if (!equal_ignoring_case(key.name, entry.key) || key.name == "enable") continue;
      hint = fmt::format("; it belongs in [{}]", key.section);
    }
    if (hint.empty()) hint = did_you_mean(nearest(entry.key, known_keys(section.name)));
    const Source source{std::string(file), entry.line};
    warn(source, fmt::format("unknown key {} in [{}]{}", in_quotes(entry.key), section.name, hint));
  }

  void warn(const Source& source, std::string_view text) {
    if (warnings_.size() >= kMostWarnings) return;
    warnings_.push_back(fmt::format("{}: {}", source.to_string(), text));
  }

  [[nodiscard]] const Source& source_of(std::string_view section, std::string_view name) const {
    return sources_.at(find_key(section, name).value());
  }

  ConfigDraft draft_;
  std::vector<Source> sources_{config_keys().size()};
  std::vector<std::string> warnings_;
  std::vector<std::string> notices_;
};

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

tl::unexpected<Error> cannot_read(const std::filesystem::path& file, int error) {
  const std::string_view advice = error == ENOENT
                                      ? "name the file with --config; on Carbonio switch the "
                                        "service cbpolicyd on, then it is written"
                                  : error == EACCES ? "run this as zextras or root"
                                                    : "check the file and its folder";
  return failure(
      fmt::format("cannot read {}: {}; {}", file.string(), std::strerror(error), advice));
}

// What is in an open file, but not more than one byte beyond the bound that parse_ini() checks.
Result<std::string> read_all(int fd, const std::filesystem::path& file) {
  std::string text;
  std::array<char, 16 * 1024> piece;
  while (text.size() <= kMaxIniBytes) {
    const ssize_t got = read(fd, piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return cannot_read(file, errno);
    if (got == 0) break;
    text.append(piece.data(), static_cast<std::size_t>(got));
  }
  return text;
}

// Nullopt where there is none. O_NONBLOCK: opening a pipe must not wait for its other end.
Result<std::optional<std::string>> read_file(const std::filesystem::path& file) {
  const Descriptor fd(open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (fd.get() < 0 && errno == ENOENT) return std::nullopt;
  if (fd.get() < 0) return cannot_read(file, errno);
  struct stat status {};
  if (fstat(fd.get(), &status) != 0) return cannot_read(file, errno);
  if (!S_ISREG(status.st_mode)) {
    return failure(fmt::format("{} is {}; name the configuration file itself with --config",
                               file.string(),
                               S_ISDIR(status.st_mode) ? "a folder" : "no regular file"));
  }
  auto text = read_all(fd.get(), file);
  if (!text) return tl::unexpected(text.error());
  return std::optional<std::string>(std::move(*text));
}

}  // namespace

Result<LoadedConfig> parse_config(std::string_view main_text, std::string_view main_name,
                                  std::string_view ours_text, std::string_view ours_name) {
  Assembly assembly;
  if (const auto done = assembly.add(main_text, main_name); !done) {
    return tl::unexpected(done.error());
  }
  if (const auto done = assembly.add(ours_text, ours_name); !done) {
    return tl::unexpected(done.error());
  }
  return assembly.finish();
}

Result<LoadedConfig> load_config(const std::filesystem::path& file) {
  const auto main_text = read_file(file);
  if (!main_text) return tl::unexpected(main_text.error());
  if (!*main_text) return cannot_read(file, ENOENT);
  const auto ours = file.parent_path() / kOursName;
  const auto ours_text = read_file(ours);
  if (!ours_text) return tl::unexpected(ours_text.error());
  return parse_config(**main_text, file.string(), ours_text->value_or(""), ours.string());
}

}  // namespace policyd
