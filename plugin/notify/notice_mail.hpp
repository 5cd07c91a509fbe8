// SPDX-License-Identifier: AGPL-3.0-only
// A notice as text in 72 columns, as plain HTML, and as a mail with both. Names in it come from
// strangers, so whatever they contain can neither break a line of the mail nor become markup. Pure.
#pragma once

#include <string>
#include <vector>

#include "plugin/notify/notice_text.hpp"

namespace limits {

std::string plain_text(const NoticeText& notice);
std::string html_text(const NoticeText& notice);
// Header and both parts, as a sendmail program takes it; it adds From and Date.
std::string mail_of(const NoticeText& notice, const std::vector<std::string>& to);

}  // namespace limits
