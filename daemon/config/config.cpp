// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/config/config.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <utility>

#include "daemon/base/did_you_mean.hpp"
#include "daemon/base/printable.hpp"
#include "daemon/base/read_file.hpp"
#include "daemon/config/config_table.hpp"
#include "daemon/config/ini.hpp"
#include "daemon/config/module_table.hpp"
#include "daemon/config/special_keys.hpp"

namespace policyd {
namespace {

constexpr std::size_t kMaxWarnings = 100;
constexpr std::string_view kOursName = "carbonio-limits.conf";

// The words that [server] modules may list without a warning.
std::vector<std::string_view> module_names() {
  std::vector<std::string_view> names = {"Core", "Amavis"};
  for (const ModuleInfo& module : kModules) names.push_back(module.name);
  return names;
}
constexpr std::array<std::string_view, 2> kProtocolNames = {"Postfix", "Bizanga"};

template <typename List>
bool holds(const List& list, std::string_view word) {
  return std::any_of(list.begin(), list.end(),
                     [word](std::string_view w) { return equal_ignoring_case(w, word); });
}

std::string did_you_mean(std::optional<std::string_view> word) {
  return word ? fmt::format(", did you mean '{}'?", *word) : "";
}

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

// Combines the two files.
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
    note_unsupported_parts();
    warn_unknown_names("modules", draft_.modules, module_names());
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
    const auto index = find_key(section.name, entry.key);
    if (!index) {
      warn_unknown_key(section, entry, file);
      return {};
    }
    const ConfigKey& key = config_keys()[*index];
    const Source source{std::string(file), entry.line};
    if (entry.value.empty() && !key.may_be_empty) {
      warn(source, fmt::format("{} in [{}] has no value and is ignored", key.name, key.section));
      return {};
    }
    begin_value(key, sources_[*index], source);
    if (const auto rejected = read_config_value(key, entry.value, draft_)) {
      return failure(fmt::format("{}: not a valid {} in [{}]: {}; allowed: {}", source.to_string(),
                                 key.name, key.section, in_quotes(*rejected), allowed_values(key)));
    }
    if (const auto instead =
            key.name == "log_mail" ? config_key::log_mail_instead(entry.value) : std::nullopt) {
      warn(source, fmt::format("log_mail in [{}]: {} is not supported; mail is logged to {}; "
                               "allowed: {}",
                               key.section, in_quotes(entry.value), *instead, allowed_values(key)));
    }
    if (std::holds_alternative<config_key::Flag>(key.into) && is_doubtful_flag(entry.value)) {
      warn(source, fmt::format("{} in [{}]: {} is not a boolean; treating it as 0", key.name,
                               key.section, in_quotes(entry.value)));
    }
    return {};
  }

  // Within a file, repeated lists are joined and of other keys the last value counts. The second
  // file replaces what the first one set.
  void begin_value(const ConfigKey& key, Source& before, const Source& now) {
    const auto* names = std::get_if<config_key::Names>(&key.into);
    const auto* networks = std::get_if<config_key::Networks>(&key.into);
    const bool again = before.line != 0 && before.file == now.file;
    if (names != nullptr && !again) (draft_.*names->into).clear();
    if (networks != nullptr && !again) (draft_.*networks->into).clear();
    const bool ignored = std::holds_alternative<config_key::Ignored>(key.into);
    if (again && names == nullptr && networks == nullptr && !ignored) {
      warn(now, fmt::format("{} in [{}] is already set in line {}; the last value counts", key.name,
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
        "{}: not a valid port in [server]: {}; allowed: {}", where.to_string(),
        in_quotes(draft_.port),
        path ? "1 to 65535 (a path only with proto=unix)" : "with proto=unix an absolute path"));
  }

  // Carbonio's standard file lists both, so this is a notice, not a warning.
  void note_unsupported_parts() {
    const bool bizanga = holds(draft_.protocols, "Bizanga");
    const bool amavis = holds(draft_.modules, "Amavis");
    const Source& where = source_of("server", bizanga ? "protocols" : "modules");
    if (bizanga || amavis) {
      const std::string_view what = bizanga && amavis
                                        ? "Bizanga in protocols and Amavis in modules are"
                                    : bizanga ? "Bizanga in protocols is"
                                              : "Amavis in modules is";
      notices_.push_back(
          fmt::format("{}: {} not supported and ignored; Carbonio's standard file lists both, so "
                      "no action is needed",
                      where.to_string(), what));
    }
    if (draft_.amavis) {
      warn(source_of("Amavis", "enable"),
           "Amavis is enabled but not supported: the rows of amavis_rules have no effect");
    }
  }

  void warn_unknown_names(std::string_view list, const std::vector<std::string>& names,
                          std::span<const std::string_view> known) {
    for (const std::string& name : names) {
      if (holds(known, name) || warnings_.size() >= kMaxWarnings) continue;
      warn(source_of("server", list), fmt::format("unknown name {} in {}{}", in_quotes(name), list,
                                                  did_you_mean(nearest(name, known))));
    }
  }

  void disable_unlisted_modules() {
    const Source& list = source_of("server", "modules");
    if (list.line == 0) return;
    for (const ModuleInfo& module : kModules) {
      if (!(draft_.*module.in_config) || holds(draft_.modules, module.name)) continue;
      draft_.*module.in_config = false;
      warn(source_of(module.name, "enable"),
           fmt::format("{} is enabled but does not run: modules in [server] ({}) does not list it",
                       module.name, list.to_string()));
    }
  }

  void warn_unknown_section(const IniSection& section, std::string_view file) {
    if (warnings_.size() >= kMaxWarnings) return;
    const Source source{std::string(file), section.line};
    warn(source, fmt::format("unknown section {}{}", in_quotes(section.name),
                             did_you_mean(nearest(section.name, known_sections()))));
  }

  void warn_unknown_key(const IniSection& section, const IniEntry& entry, std::string_view file) {
    if (warnings_.size() >= kMaxWarnings) return;
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
    if (warnings_.size() >= kMaxWarnings) return;
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

Error cannot_read(const std::filesystem::path& file, const FileError& error) {
  const std::string_view advice =
      error.code == ENOENT   ? "name the file with --config; on Carbonio enable the service "
                               "cbpolicyd, which creates it"
      : error.code == EACCES ? "run this as zextras or root"
      : error.code == EISDIR || error.code == EINVAL ? "name the configuration file itself with "
                                                       "--config"
                                                     : "check the file and its folder";
  return {fmt::format("cannot read {}: {}; {}", file.string(), error.message, advice)};
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

std::filesystem::path own_config_of(const std::filesystem::path& file) {
  return file.parent_path() / kOursName;
}

Result<LoadedConfig> load_config(const std::filesystem::path& file) {
  const auto main_text = read_file(file, kMaxIniBytes);
  if (!main_text) return tl::unexpected(cannot_read(file, main_text.error()));
  const auto ours = own_config_of(file);
  const auto ours_text = read_file(ours, kMaxIniBytes);
  if (!ours_text && ours_text.error().code != ENOENT) {
    return tl::unexpected(cannot_read(ours, ours_text.error()));
  }
  return parse_config(*main_text, file.string(), ours_text.value_or(""), ours.string());
}

}  // namespace policyd
