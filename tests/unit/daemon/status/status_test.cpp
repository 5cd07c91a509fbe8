// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/status/status.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "daemon/status/status_writer.hpp"
#include "tests/unit/daemon/loop/manual_loop.hpp"

namespace policyd {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

Status full_status() {
  Status status;
  status.pid = ::getpid();
  status.process_start = process_start(::getpid());
  status.version = "1.2.3";
  status.started = TimePoint{milliseconds{1795348800250}};
  status.database = "/a/db.sqlitedb";
  status.trouble = Status::Trouble{"database is locked", TimePoint{milliseconds{1795348801500}}, 7};
  status.cluster = Status::Cluster{"mta1", true, "x", 3, 0.25, 0.0005, 10, 1, 2, 7};
  status.rules_version = 12;
  status.policies = 6;
  status.rule_problems = 1;
  status.all_mail_deferred = "ALL MAIL IS DEFERRED by quotas 3: x";
  status.modules = {"Greylisting", "Quotas"};
  status.algorithm = "window";
  status.connections = 3;
  status.sessions = 2;
  status.requests = 100;
  status.batches = 50;
  status.refused = 4;
  status.refused_requests = {2, "127.0.0.1:4711: closed: 'x'",
                             TimePoint{milliseconds{1795348800500}}};
  status.happened = {{"refused", "Quotas", 4, "defer", 17}, {"near", "Accounting", 1, "", 2}};
  status.events_lost = 3;
  status.longest_refusal = milliseconds{61'500};
  status.most_refused = {{"Quotas", 4, "Sender:\"x\"@example.org", 15}};
  status.times.add(milliseconds{3}, 98);
  status.times.add(milliseconds{7000}, 2);
  status.pause = Pause{TimePoint{milliseconds{1795348800001}}, false, "root on \"pts/0\"\n"};
  return status;
}

class StatusTest : public ::testing::Test {
 protected:
  StatusTest() {
    std::string name = (fs::temp_directory_path() / "limits-status-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    file_ = folder_ / "cbpolicyd.status.json";
    LogSettings settings;
    settings.file = folder_ / "log";
    log_ = std::move(*Maillog::open(settings));
  }
  ~StatusTest() override {
    log_.reset();
    fs::remove_all(folder_);
  }

  // By its thread; the timer starts again if the previous write was still running.
  void wait_until_written(const fs::path& file, const Status& status) {
    for (int i = 0; i < 3000; ++i) {
      const auto there = read_status(file);
      if (there && *there == status) return;
      std::this_thread::sleep_for(milliseconds{10});
      if (i % 100 == 99) loop_.advance(milliseconds{1000});
    }
    ADD_FAILURE() << file << " was not written";
  }

  std::string log() {
    log_->flush();
    std::ifstream in{folder_ / "log"};
    return {std::istreambuf_iterator<char>{in}, {}};
  }
  void put(const std::string& text) { std::ofstream{file_} << text; }

  fs::path folder_, file_;
  std::unique_ptr<Maillog> log_;
  ManualLoop loop_;
};

TEST_F(StatusTest, LiesInTheFolderOfThePidFile) {
  EXPECT_EQ(status_file_of("/run/carbonio/cbpolicyd.pid"), "/run/carbonio/cbpolicyd.status.json");
  EXPECT_EQ(status_file_of("/run/other.d/pid"), "/run/other.d/pid.status.json");
}

TEST_F(StatusTest, ReadsWhatItWrote) {
  const auto parsed = parse_status(status_json(full_status()));
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(*parsed, full_status());
  Status least;
  EXPECT_EQ(parse_status(status_json(least)).value(), least);
}

TEST_F(StatusTest, ReadsWhatAnEarlierVersionWrote) {
  auto json = nlohmann::json::parse(status_json(full_status()));
  Status status = full_status();
  for (const char* added : {"refused_requests", "times", "happened", "events_lost",
                            "longest_refusal_ms", "most_refused"}) {
    EXPECT_EQ(json.erase(added), 1U) << added;
  }
  status.refused_requests = {};
  status.times = {};
  status.happened = {};
  status.events_lost = 0;
  status.longest_refusal = {};
  status.most_refused = {};
  EXPECT_EQ(parse_status(json.dump()).value(), status);
}

TEST_F(StatusTest, LeavesOutDecisionTimesWithOtherBounds) {
  auto json = nlohmann::json::parse(status_json(full_status()));
  json["times"]["requests"] = {1, 2, 3};
  EXPECT_EQ(parse_status(json.dump()).value().times, DecisionTimes{});
}

TEST_F(StatusTest, InvalidUtf8DoesNotPreventWriting) {
  Status status = full_status();
  status.database = "/\xff";
  EXPECT_EQ(parse_status(status_json(status)).value().database, "/\xEF\xBF\xBD");
}

TEST_F(StatusTest, RejectsOtherTexts) {
  const std::string good = status_json(full_status());
  for (std::size_t length = 0; length + 2 < good.size(); length += 7) {
    EXPECT_FALSE(parse_status(std::string_view{good}.substr(0, length))) << length;
  }
  for (const char* text : {"null", "[]", "3", "{}", R"({"format":2})", R"({"format":"1"})",
                           R"({"format":1,"pid":"x"})"}) {
    EXPECT_FALSE(parse_status(text)) << text;
  }
  EXPECT_FALSE(parse_status(std::string(100'000, '[')));
}

TEST_F(StatusTest, IsBoundedAndStaleWhenTheProcessIsGone) {
  EXPECT_EQ(read_status(file_).value(), std::nullopt) << "no file";
  put(status_json(full_status()));
  EXPECT_EQ(read_status(file_).value(), full_status());
  Status other = full_status();
  other.process_start += 1;  // another process has the pid now
  put(status_json(other));
  EXPECT_EQ(read_status(file_).value(), std::nullopt);
  put(std::string((std::size_t{4} << 20) + 1, ' '));
  EXPECT_FALSE(read_status(file_));
}

TEST_F(StatusTest, IsWrittenOnChangesAndRemovedAtTheEnd) {
  Status now = full_status();
  {
    StatusWriter status_file{loop_, *log_, file_, {}, [&] { return now; }, milliseconds{1000}};
    EXPECT_EQ(read_status(file_).value(), now);
    const auto first = fs::last_write_time(file_);
    fs::last_write_time(file_, first - std::chrono::hours{1});
    loop_.advance(milliseconds{5000});
    EXPECT_LT(fs::last_write_time(file_), first) << "written although nothing changed";
    now.requests = 101;
    loop_.advance(milliseconds{999});
    EXPECT_NE(read_status(file_).value(), now);
    loop_.advance(milliseconds{1});
    wait_until_written(file_, now);
    now.requests = 102;
    loop_.advance(milliseconds{1000});  // still being written at the end
  }
  EXPECT_FALSE(fs::exists(file_));
  loop_.advance(milliseconds{5000});
  EXPECT_EQ(std::distance(fs::directory_iterator{folder_}, {}), 1) << "only the log is left";
}

TEST_F(StatusTest, ReportsOnceThatItCannotBeWrittenAndTriesAgain) {
  Status now = full_status();
  StatusWriter status_file{loop_, *log_, folder_ / "run" / "s.json", {}, [&] { return now; }};
  for (int second = 0; second < 3; ++second) {
    loop_.advance(milliseconds{1000});
    std::this_thread::sleep_for(milliseconds{20});  // for the thread
  }
  const std::string said = log();
  EXPECT_NE(said.find("cannot write the status file"), std::string::npos);
  EXPECT_EQ(said.find("cannot"), said.rfind("cannot"));
  fs::create_directory(folder_ / "run");
  loop_.advance(milliseconds{1000});
  wait_until_written(folder_ / "run" / "s.json", now);
}

TEST_F(StatusTest, LeavesTheFileOfALaterDaemon) {
  Status now = full_status();
  Status later = full_status();
  later.pid = ::getppid();
  later.process_start = process_start(::getppid());
  {
    StatusWriter status_file{loop_, *log_, file_, {}, [&] { return now; }};
    put(status_json(later));
  }
  EXPECT_EQ(read_status(file_).value(), later);
}

TEST_F(StatusTest, RemovesTheMetricsFileThatItNoLongerWrites) {
  Status now = full_status();
  const auto gone = [&](const fs::path& file) {
    for (int i = 0; i < 3000 && fs::exists(file); ++i) {
      std::this_thread::sleep_for(milliseconds{10});
      if (i % 100 == 99) loop_.advance(milliseconds{1000});
    }
    return !fs::exists(file);
  };
  const auto written = [&](const fs::path& file) {
    for (int i = 0; i < 3000 && !fs::exists(file); ++i) {
      std::this_thread::sleep_for(milliseconds{10});
      loop_.advance(milliseconds{1000});
    }
    return fs::exists(file);
  };
  const fs::path first = folder_ / "1.prom";
  const fs::path second = folder_ / "2.prom";
  {
    StatusWriter status_file{loop_, *log_, file_, first, [&] { return now; }};
    EXPECT_TRUE(written(first));
    status_file.set_metrics_file(first);  // is no change
    status_file.set_metrics_file(second);
    loop_.advance(milliseconds{1000});
    EXPECT_TRUE(gone(first));
    EXPECT_TRUE(written(second));
    status_file.set_metrics_file(first);
    status_file.set_metrics_file(second);
    EXPECT_TRUE(written(second));
    // None.
    status_file.set_metrics_file({});
    loop_.advance(milliseconds{1000});
    EXPECT_TRUE(gone(second));
    // Whatever has this name, it is no file of ours.
    fs::create_directory(first);
    status_file.set_metrics_file(first);
    loop_.advance(milliseconds{1000});
    status_file.set_metrics_file(second);
    EXPECT_TRUE(written(second));
    status_file.set_metrics_file({});  // just before the end
  }
  EXPECT_TRUE(fs::is_directory(first));
  EXPECT_FALSE(fs::exists(second));
}

}  // namespace
}  // namespace policyd
