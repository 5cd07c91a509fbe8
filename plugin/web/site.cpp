// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/web/site.hpp"

#include <fmt/core.h>

#include <utility>
#include <variant>

#include "plugin/cli/command.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/web/first_page.hpp"
#include "plugin/web/page_files.hpp"
#include "plugin/web/random_text.hpp"

namespace limits {
namespace {

constexpr std::string_view kCookie = "carbonio-limits";
constexpr std::chrono::seconds kDoctorEvery{30};
constexpr std::chrono::seconds kFresh{2};  // the first page
constexpr std::string_view kMakeLink = "carbonio-limits web link";
constexpr std::string_view kTookTooLong =
    "the mail of this time is too much for the page; on the server 'carbonio-limits simulate' "
    "takes the time that it needs";

SiteReply json_reply(unsigned status, const nlohmann::json& json) {
  return {status,
          "application/json",
          json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n",
          {}};
}

bool is_api(std::string_view target) { return target.starts_with("/api/"); }

// "there is no such page" as "There is no such page.": on a page it stands alone.
std::string as_sentence(std::string text) {
  if (text.empty()) return text;
  if (text.front() >= 'a' && text.front() <= 'z') {
    text.front() = static_cast<char>(text.front() - 'a' + 'A');
  }
  if (!text.ends_with('.')) text += '.';
  return text;
}

SiteReply refusal(const SiteRequest& request, unsigned status, const std::string& text) {
  if (is_api(request.request.target)) return json_reply(status, {{"error", text}});
  return {status, "text/html; charset=utf-8", plain_page("Limits", as_sentence(text)), {}};
}

// The page's own: "https://limits.example.org" where Host is "limits.example.org".
bool is_own_origin(std::string_view origin, std::string_view host, bool https) {
  const std::string_view scheme = https ? "https://" : "http://";
  return !host.empty() && origin.starts_with(scheme) &&
         equal_ignoring_case(origin.substr(scheme.size()), host);
}

std::string cookie_header(std::string_view value, bool tls, std::chrono::seconds lasts) {
  return fmt::format("{}={}; HttpOnly; SameSite=Strict; Path=/; Max-Age={}{}", kCookie, value,
                     lasts.count(), tls ? "; Secure" : "");
}

// One line, without the program's name in front of it.
std::string first_line(std::string_view text) {
  constexpr std::string_view kProgram = "carbonio-limits: ";
  if (text.starts_with(kProgram)) text.remove_prefix(kProgram.size());
  return std::string{text.substr(0, text.find('\n'))};
}

SiteReply reply_of(const Call& call, const Ran& ran) {
  const auto exit = static_cast<Exit>(ran.exit);
  if (exit == Exit::wrong_use) return json_reply(400, {{"error", first_line(ran.err)}});
  if (exit == Exit::failed) {
    const std::string error = first_line(ran.err);
    const bool absent =
        call.words.front() == "show" && error.find(kNoSuchLimit) != std::string::npos;
    return json_reply(absent ? 404 : 409, {{"error", error}});
  }
  if (call.json) return {200, "application/json", ran.out, {}};
  if (call.changes) return json_reply(200, {{"text", ran.out}});
  return {200, "text/plain; charset=utf-8", ran.out, {}};
}

}  // namespace

std::vector<std::pair<std::string, std::string>> security_headers() {
  return {{"Content-Security-Policy",
           "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
           "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"},
          {"X-Content-Type-Options", "nosniff"},
          {"X-Frame-Options", "DENY"},
          // With no-referrer, a browser would say of a form only that its Origin is "null".
          {"Referrer-Policy", "same-origin"},
          {"Cross-Origin-Opener-Policy", "same-origin"},
          {"Cross-Origin-Resource-Policy", "same-origin"}};
}

Site::Site(Settings settings, Run run, Worker worker, std::function<policyd::TimePoint()> clock)
    : settings_(std::move(settings)),
      run_(std::make_shared<const Run>(std::move(run))),
      worker_([worker = std::move(worker), ending = ending_](Lane lane, auto work, auto then) {
        return worker(
            lane,
            [ending, work = std::move(work)] {
              if (!*ending) work();
            },
            std::move(then));
      }),
      clock_(std::move(clock)) {}

bool Site::by_https(std::string_view host) const {
  return is_one_of_hosts(host, settings_.proxies);
}

void Site::answer(const SiteRequest& request, const Done& done) {
  if (request.host.empty()) return done(refusal(request, 400, "the Host header is missing"));
  const bool https = by_https(request.host);
  if (!https && !is_one_of_hosts(request.host, settings_.hosts)) {
    return done(refusal(request, 421,
                        fmt::format("this page does not answer for the host '{}'; add it to hosts "
                                    "in [web] of carbonio-limits.conf",
                                    shown(request.host))));
  }
  Wanted wanted = wanted_of(request.request);
  if (const auto* none = std::get_if<Refused>(&wanted)) {
    SiteReply reply = refusal(request, none->status, none->text);
    if (!none->allow.empty()) reply.headers.emplace_back("Allow", none->allow);
    return done(std::move(reply));
  }
  if (const auto* asked = std::get_if<AskedFile>(&wanted)) {
    const PageFile& file = *find_page_file(asked->name);
    return done({200, std::string{file.type}, std::string{file.bytes}, {}});
  }
  if (const auto* link = std::get_if<SignIn>(&wanted)) return sign_in(*link, request.host, done);

  const std::string_view cookie = cookie_of(request.cookies, kCookie);
  Session* session = sessions_.find(cookie, clock_());
  if (session == nullptr) {
    return done(refusal(request, 401,
                        fmt::format("you are not signed in; on the server '{}' prints a link that "
                                    "signs you in",
                                    kMakeLink)));
  }
  if (std::holds_alternative<FirstPage>(wanted)) return show_first_page(*session, done);
  if (!is_own_origin(request.origin, request.host, https) && !is_reading(request.request.method)) {
    return done(refusal(request, 403, "a change comes from this page only"));
  }
  if (std::holds_alternative<SignOut>(wanted)) {
    sessions_.close(cookie);
    SiteReply reply{
        200, "text/html; charset=utf-8", plain_page("Limits", "You are signed out."), {}};
    reply.headers.emplace_back("Set-Cookie", cookie_header("", https, {}));
    return done(std::move(reply));
  }
  call(std::get<Call>(std::move(wanted)), request, *session, done);
}

void Site::sign_in(const SignIn& wanted, std::string_view host, const Done& done) {
  const auto link = take_link(settings_.links, wanted.token, clock_());
  if (!link) {
    return done({403,
                 "text/html; charset=utf-8",
                 plain_page("Limits", fmt::format("This link was used before or has expired; '{}' "
                                                  "prints another one.",
                                                  kMakeLink)),
                 {}});
  }
  SiteReply reply{200, "text/html; charset=utf-8", signed_in_page(), {}};
  reply.headers.emplace_back("Set-Cookie", cookie_header(sessions_.open(*link, clock_()).cookie,
                                                         by_https(host), Sessions::kLasts));
  done(std::move(reply));
}

// Beside what is asked for, so that the first page need not wait for it.
void Site::look_at_health() {
  if (doctor_looks_ || (doctor_at_ <= clock_() && clock_() - doctor_at_ < kDoctorEvery)) return;
  const auto ran = std::make_shared<Ran>();  // of both functions
  doctor_looks_ = worker_(
      Lane::slow,
      [ran, run = run_] {
        *ran = (*run)({{"doctor", "--json"}, "the page"});
      },
      [this, ran] {
        doctor_looks_ = false;
        doctor_at_ = clock_();
        doctor_ = nlohmann::json::parse(ran->out, nullptr, false);
      });
}

SiteReply Site::first_page_of(const Shown& shown) const {
  return {200,
          "text/html; charset=utf-8",
          first_page({settings_.name, settings_.time_zone, shown.token, shown.who, shown.message,
                      refused_, doctor_.is_object() ? &doctor_ : nullptr},
                     clock_()),
          {}};
}

void Site::show_first_page(Session& session, const Done& done) {
  const auto shown = std::make_shared<Shown>();  // of both functions
  shown->token = session.write ? session.change_token : std::string{};
  shown->who = session.who;
  shown->message = std::exchange(session.message, {});
  look_at_health();
  const policyd::TimePoint now = clock_();
  if (refused_.is_object() && refused_at_ <= now && now - refused_at_ < kFresh) {
    return done(first_page_of(*shown));
  }
  const bool taken = worker_(
      Lane::quick,
      [shown, run = run_] {
        shown->ran = (*run)({{"refused", "--json", "--since=1h", "--top=50"}, shown->who});
      },
      [this, shown, done] {
        auto refused = nlohmann::json::parse(shown->ran.out, nullptr, false);
        if (shown->ran.exit != 0 || !refused.is_object()) {
          return done({503,
                       "text/html; charset=utf-8",
                       plain_page("Limits", as_sentence(first_line(shown->ran.err))),
                       {}});
        }
        refused_ = std::move(refused);
        refused_at_ = clock_();
        done(first_page_of(*shown));
      });
  if (taken) return;
  done({503,
        "text/html; charset=utf-8",
        plain_page("Limits", "Too many are asking; try again in a moment."),
        {}});
}

void Site::call(Call wanted, const SiteRequest& request, Session& session, const Done& done) {
  if (wanted.changes) {
    const std::string_view token =
        wanted.from_form ? std::string_view{wanted.form_token} : request.change_token;
    if (!session.write) {
      return done(refusal(request, 403,
                          "this link may only read; 'carbonio-limits web link --write' makes one "
                          "that may change limits"));
    }
    if (!is_same_secret(token, session.change_token)) {
      return done(refusal(request, 403, "the page is out of date; load it again"));
    }
  }
  struct Asked {
    Call call;
    std::string who, cookie;
    std::shared_ptr<const std::atomic<bool>> gone;
    Ran ran;
    bool late = false;
  };
  const auto asked = std::make_shared<Asked>();  // of both functions
  asked->call = std::move(wanted);
  asked->who = session.who;
  asked->cookie = session.cookie;
  asked->gone = request.gone;
  const bool taken = worker_(
      asked->call.lane,
      [asked, run = run_, clock = clock_, ending = ending_] {
        // A change is made also for whom does not wait: it was asked for.
        if (!asked->call.changes && asked->gone && *asked->gone) return;
        Job job{asked->call.words, asked->who, asked->call.input};
        if (asked->call.lane == Lane::log) {
          job.given_up = [&it = *asked, clock, ending, end = clock() + kLogWithin] {
            it.late = it.late || clock() >= end;
            return it.late || *ending || (it.gone && *it.gone);
          };
          if (job.given_up()) return;
        }
        asked->ran = (*run)(job);
      },
      [this, asked, done] {
        if (asked->late) return done(json_reply(504, {{"error", kTookTooLong}}));
        if (asked->call.changes) refused_at_ = {};
        if (!asked->call.from_form) return done(reply_of(asked->call, asked->ran));
        const std::string& said = asked->ran.exit == 0 ? asked->ran.out : asked->ran.err;
        if (Session* here = sessions_.find(asked->cookie, clock_())) {
          here->message = first_line(said);
        }
        done({303, "text/plain; charset=utf-8", "", {{"Location", "/"}}});
      });
  if (!taken) done(refusal(request, 503, "too many are asking; try again in a moment"));
}

}  // namespace limits
