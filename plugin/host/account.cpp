// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/host/account.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "daemon/names/name_form.hpp"
#include "hooks/carbonio/localconfig.hpp"
#include "hooks/carbonio/prov_output.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

constexpr const char* kStatus = "zimbraAccountStatus";
constexpr const char* kSystem = "zimbraIsSystemAccount";
constexpr const char* kAdmin = "zimbraIsAdminAccount";
constexpr const char* kDelegatedAdmin = "zimbraIsDelegatedAdminAccount";
constexpr const char* kAlias = "zimbraMailAlias";
constexpr const char* kDefaultDomain = "zimbraDefaultDomainName";
constexpr std::string_view kNoSuchAccount = "account.NO_SUCH_ACCOUNT";

bool is_true(const carbonio::Attributes& attributes, std::string_view name) {
  return equal_ignoring_case(attributes.value(name).value_or(""), "TRUE");
}

// The first error that says more than that there is no such account.
std::optional<carbonio::ProvError> other_error(const std::vector<carbonio::ProvError>& errors) {
  const auto found = std::find_if(errors.begin(), errors.end(),
                                  [](const auto& error) { return error.code != kNoSuchAccount; });
  return found == errors.end() ? std::nullopt : std::optional{*found};
}

}  // namespace

policyd::Result<carbonio::Prov> prov_of(const std::filesystem::path& zextras_home,
                                        std::chrono::milliseconds deadline) {
  const auto config = carbonio::LocalConfig::load(zextras_home);
  if (!config) return tl::unexpected{config.error()};
  const auto user = config->find("zimbra_user");
  if (!user) return tl::unexpected{user.error()};
  return carbonio::Prov{zextras_home, user->value_or(carbonio::Prov{}.user), deadline};
}

policyd::Result<AccountAnswer> ask_about_account(const carbonio::Prov& prov,
                                                 const std::string& name) {
  const std::array<carbonio::ProvCommand, 2> commands = {
      carbonio::ProvCommand{"ga", name, kStatus, kSystem, kAdmin, kDelegatedAdmin, kAlias},
      carbonio::ProvCommand{"gacf", kDefaultDomain}};
  const auto answers = prov.ask(commands);
  if (!answers) return tl::unexpected{answers.error()};
  if (const auto error = other_error(answers->errors)) {
    return policyd::failure(error->to_string());
  }
  AccountAnswer out;
  out.default_domain = policyd::domain_form(
      carbonio::attributes_in(answers->answers[1]).value(kDefaultDomain).value_or(""));
  const auto entry = carbonio::server_in(answers->answers[0]);
  if (!entry) {
    if (!answers->errors.empty()) return out;
    return policyd::failure("carbonio prov does not say whether there is such an account");
  }
  CarbonioAccount account;
  account.name = policyd::address_form(entry->name);
  account.status = entry->attributes.value(kStatus).value_or("");
  account.system = is_true(entry->attributes, kSystem);
  account.admin = is_true(entry->attributes, kAdmin) || is_true(entry->attributes, kDelegatedAdmin);
  for (const std::string& alias : entry->attributes.values(kAlias)) {
    account.aliases.push_back(policyd::address_form(alias));
  }
  out.account = std::move(account);
  return out;
}

policyd::Result<StatusChange> change_account_status(const carbonio::Prov& prov,
                                                    const std::string& name, std::string_view from,
                                                    const std::string& to) {
  const auto status_in = [](const std::string& answer) {
    const auto entry = carbonio::server_in(answer);
    return entry ? entry->attributes.value(kStatus).value_or("") : std::string{};
  };
  const std::array<carbonio::ProvCommand, 1> question = {
      carbonio::ProvCommand{"ga", name, kStatus}};
  const auto before = prov.ask(question);
  if (!before) return tl::unexpected{before.error()};
  if (!before->errors.empty() && !other_error(before->errors)) return StatusChange{{}, false, true};
  if (!before->errors.empty()) return policyd::failure(before->errors.front().to_string());
  const std::string now = status_in(before->answers[0]);
  if (now.empty()) return policyd::failure("carbonio prov does not say the account's status");
  if (now != from) return StatusChange{now, false};
  const std::array<carbonio::ProvCommand, 2> change = {
      carbonio::ProvCommand{"ma", name, kStatus, to}, carbonio::ProvCommand{"ga", name, kStatus}};
  const auto after = prov.ask(change);
  if (!after) return tl::unexpected{after.error()};
  if (!after->errors.empty()) return policyd::failure(after->errors.front().to_string());
  const std::string status = status_in(after->answers[1]);
  if (status != to) {
    return policyd::failure(fmt::format("its status is '{}' afterwards", shown(status)));
  }
  return StatusChange{status, true};
}

std::string typed_status_change(const std::string& name, const std::string& status) {
  return carbonio::as_typed({"ma", name, kStatus, status});
}

}  // namespace limits
