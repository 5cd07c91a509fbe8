// SPDX-License-Identifier: AGPL-3.0-only
// Answers requests to the page: who may ask what, and what a subcommand printed. It knows nothing
// of sockets. All on one thread, but for the subcommands, which a worker runs.
#pragma once

#include <atomic>
#include <boost/core/noncopyable.hpp>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/base/clock.hpp"
#include "plugin/web/sessions.hpp"
#include "plugin/web/web_request.hpp"

namespace limits {

struct SiteRequest {
  WebRequest request;
  std::string_view host;          // the header Host
  std::string_view origin;        // the header Origin
  std::string_view cookies;       // the header Cookie
  std::string_view change_token;  // the header X-Change-Token
  // Whether whoever asked has gone meanwhile; may be null.
  std::shared_ptr<const std::atomic<bool>> gone = {};
};

struct SiteReply {
  unsigned status = 200;
  std::string type = "text/html; charset=utf-8";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
};

// What a subcommand did.
struct Ran {
  int exit = 0;
  std::string out;
  std::string err;
};

class Site : boost::noncopyable {
 public:
  // On a worker's thread.
  struct Job {
    std::vector<std::string> words;
    std::string who;
    std::optional<std::string> input = {};  // instead of standard input
    std::function<bool()> given_up = {};    // nobody waits for it any more
  };
  using Run = std::function<Ran(const Job& job)>;
  // Runs `work` on the lane's worker, and then `then` on this thread; false if too much is waiting.
  using Worker =
      std::function<bool(Lane lane, std::function<void()> work, std::function<void()> then)>;
  using Done = std::function<void(SiteReply)>;

  struct Settings {
    std::string name;                  // of this host, for people
    std::vector<std::string> hosts;    // that the header Host may name: of this machine
    std::vector<std::string> proxies;  // and those of a proxy, which speaks HTTPS with the browser
    std::filesystem::path links;       // link_folder()
    std::string time_zone;             // "Europe/Berlin"; empty: UTC
  };

  Site(Settings settings, Run run, Worker worker, std::function<policyd::TimePoint()> clock);

  // Calls `done` once, at once or later. The request need not outlive the call.
  void answer(const SiteRequest& request, const Done& done);
  // What takes long comes to an end, and what waits does not begin: nobody is answered any more.
  void end() { *ending_ = true; }

  static constexpr std::chrono::seconds kLogWithin{60};  // what reads the mail log

 private:
  [[nodiscard]] bool by_https(std::string_view host) const;
  void sign_in(const SignIn& wanted, std::string_view host, const Done& done);
  // A first page on its way.
  struct Shown {
    Ran ran;
    std::string token, who, message;
  };
  [[nodiscard]] SiteReply first_page_of(const Shown& shown) const;
  void show_first_page(Session& session, const Done& done);
  void call(Call wanted, const SiteRequest& request, Session& session, const Done& done);
  void look_at_health();

  Settings settings_;
  std::shared_ptr<const Run> run_;  // shared with the workers' functions
  std::shared_ptr<std::atomic<bool>> ending_ = std::make_shared<std::atomic<bool>>(false);
  Worker worker_;
  std::function<policyd::TimePoint()> clock_;
  Sessions sessions_;
  nlohmann::json refused_;  // what the first page showed last, which serves others for a moment
  policyd::TimePoint refused_at_{};
  nlohmann::json doctor_;  // as it last said; null: it has not
  policyd::TimePoint doctor_at_{};
  bool doctor_looks_ = false;
};

// The headers that every reply has: no other site may frame, read or script the page.
std::vector<std::pair<std::string, std::string>> security_headers();

}  // namespace limits
