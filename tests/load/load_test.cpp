// The real load generator against the real server, and against servers that misbehave.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/load/fake_server.hpp"
#include "tests/load/load_child.hpp"
#include "tests/load/server_counts.hpp"
#include "tests/server/child.hpp"
#include "tests/server/forbid_uring.hpp"
#include "tests/server/test_client.hpp"

namespace epulse::testing {
namespace {

TEST(Load, OpenLoopSendsExactlyWhatIsDue) {
  ServerChild server;
  Child load(load_command(server.url(), {"-c", "7", "-r", "1013", "-d", "1", "-j"}));
  ASSERT_EQ(load.wait(), 0) << load.out() << load.err();
  const std::vector<std::string> lines = lines_of(load.out());
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(number(lines[0], "schema_version"), 1);
  EXPECT_NE(lines[0].find("\"type\":\"summary\",\"mode\":\"open\""), std::string::npos);
  EXPECT_EQ(number(lines[0], "sent"), 1013);
  EXPECT_EQ(number(lines[0], "received"), 1013);
  EXPECT_EQ(number(lines[0], "errors_total"), 0);
  EXPECT_EQ(number(lines[0], "opened"), 7);
  EXPECT_GT(number(lines[0], "p50_us"), 0);
  EXPECT_LE(number(lines[0], "p50_us"), number(lines[0], "p99_us"));
  EXPECT_LE(number(lines[0], "p999_us"), number(lines[0], "max_us"));
  EXPECT_EQ(messages_in(server.port()), 1013U);
}

TEST(Load, ClosedLoopCountsAgreeWithTheServer) {
  ServerChild server;
  for (const char* size : {"0", "1", "20", "126", "70000"}) {
    const std::uint64_t before = messages_in(server.port());
    Child load(load_command(server.url(), {"-c", "5", "-t", "2", "-d", "0.2", "-s", size, "-j"}));
    ASSERT_EQ(load.wait(), 0) << load.out() << load.err();
    const double sent = number(load.out(), "sent");
    EXPECT_GT(sent, 5) << size;
    EXPECT_EQ(number(load.out(), "received"), sent) << size;
    EXPECT_EQ(static_cast<double>(messages_in(server.port()) - before), sent) << size;
  }
}

TEST(Load, SaysItsEngine) {
  ServerChild server;
  for (const std::string engine : {"epoll", "io_uring"}) {
    const std::vector<std::string> command = {EPULSE_LOAD_PATH, server.url(), "-d",       "0.1",
                                              "--progress",     "0",          "--engine", engine};
    Child text(command);
    const int status = text.wait();
    if (status == 2 && text.err().find("no io_uring") != std::string::npos) {
      GTEST_SKIP() << text.err();
    }
    ASSERT_EQ(status, 0) << text.err();
    EXPECT_NE(text.out().find("\ngenerator    " + engine + "; "), std::string::npos) << text.out();
    std::vector<std::string> json = command;
    json.emplace_back("-j");
    Child line(json);
    ASSERT_EQ(line.wait(), 0) << line.err();
    EXPECT_NE(line.out().find("\"engine\":\"" + engine + "\""), std::string::npos) << line.out();
  }
}

TEST(Load, CompressedEchoesAreVerified) {
  for (const char* mode : {"shared", "dedicated", "off"}) {
    ServerChild server({"--compression", mode});
    const std::string agreed = mode == std::string("off") ? "0" : "5";
    for (const char* size : {"0", "20", "3000", "70000"}) {
      Child load(load_command(
          server.url(), {"-c", "5", "-t", "2", "-d", "0.2", "-s", size, "-j", "--compression"}));
      ASSERT_EQ(load.wait(), 0) << load.out() << load.err();
      EXPECT_EQ(number(load.out(), "compressed"), std::stod(agreed));
      EXPECT_GT(number(load.out(), "sent"), 5) << size;
      EXPECT_EQ(number(load.out(), "received"), number(load.out(), "sent")) << size;
    }
    Child text(load_command(server.url(), {"-c", "5", "-d", "0.1", "--compression"}));
    ASSERT_EQ(text.wait(), 0);
    EXPECT_NE(
        text.out().find("compression  permessage-deflate on " + agreed + " of 5 connections\n"),
        std::string::npos)
        << text.out();
  }
}

TEST(Load, PipelinedMessagesComeBackAll) {
  ServerChild server;
  Child load(load_command(server.url(), {"-c", "5", "-d", "0.3", "--pipeline", "16", "-j"}));
  ASSERT_EQ(load.wait(), 0) << load.out() << load.err();
  const double sent = number(load.out(), "sent");
  EXPECT_GT(sent, 80);
  EXPECT_EQ(std::fmod(sent, 16), 0);
  EXPECT_EQ(number(load.out(), "received"), sent);
  EXPECT_EQ(number(load.out(), "pipeline"), 16);
  EXPECT_EQ(static_cast<double>(messages_in(server.port())), sent);
}

TEST(Load, AWindowStaysFull) {
  ServerChild server;
  Child load(load_command(server.url(), {"-c", "5", "-d", "0.3", "--window", "16", "-j"}));
  ASSERT_EQ(load.wait(), 0) << load.out() << load.err();
  const double sent = number(load.out(), "sent");
  EXPECT_GT(sent, 80);
  EXPECT_EQ(number(load.out(), "received"), sent);
  EXPECT_EQ(number(load.out(), "window"), 16);
  EXPECT_EQ(static_cast<double>(messages_in(server.port())), sent);
}

TEST(Load, MessagesOfManySizesAreVerified) {
  ServerChild server;
  for (const char* more : {"", "--compression"}) {
    const std::uint64_t bytes_before = server_count(server.port(), "bytes_in");
    std::vector<std::string> options = {"-c",           "3",        "-d", "0.3", "-s",
                                        "0-10:9,70000", "--window", "4",  "-j"};
    if (*more != '\0') options.emplace_back(more);
    Child load(load_command(server.url(), options));
    ASSERT_EQ(load.wait(), 0) << load.out() << load.err();
    const double sent = number(load.out(), "sent");
    EXPECT_GT(sent, 100);
    EXPECT_EQ(number(load.out(), "received"), sent);
    EXPECT_NE(load.out().find(R"("sizes":"0-10:9,70000")"), std::string::npos) << load.out();
    if (*more != '\0') continue;
    const auto bytes = static_cast<double>(server_count(server.port(), "bytes_in") - bytes_before);
    EXPECT_NEAR(bytes / sent, 7000, 2500);  // a tenth are of 70,000
  }
  Child wrong(load_command(server.url(), {"-s", "20-10"}));
  EXPECT_EQ(wrong.wait(), 2);
  EXPECT_NE(wrong.err().find("'20-10'"), std::string::npos) << wrong.err();
}

TEST(Load, HandshakesAreCountedByBothSides) {
  ServerChild server;
  Child load(load_command(server.url(), {"-c", "4", "-d", "0.3", "--handshakes", "-j"}));
  ASSERT_EQ(load.wait(), 0) << load.out() << load.err();
  EXPECT_NE(load.out().find("\"mode\":\"handshakes\""), std::string::npos);
  const double done = number(load.out(), "received");
  EXPECT_GT(done, 40);
  EXPECT_EQ(number(load.out(), "sent"), done);
  EXPECT_EQ(number(load.out(), "opened"), 4);
  EXPECT_GT(number(load.out(), "p50_us"), 0);
  // Each connection has opened once before the clock starts.
  EXPECT_EQ(static_cast<double>(server_count(server.port(), "accepted")), done + 4);
  EXPECT_EQ(messages_in(server.port()), 0U);
}

TEST(Load, TextForPeople) {
  ServerChild server;
  Child load(load_command(server.url(), {"-c", "2", "-d", "0.5", "--progress", "0.2"}));
  ASSERT_EQ(load.wait(), 0);
  const std::vector<std::string> lines = lines_of(load.out());
  ASSERT_GE(lines.size(), 7U);
  EXPECT_TRUE(lines[0].starts_with("[  0.")) << lines[0];
  EXPECT_NE(lines[0].find("2 conn  0 errors"), std::string::npos) << lines[0];
  EXPECT_NE(load.out().find("\nmode         closed loop"), std::string::npos);
  EXPECT_NE(load.out().find("\nerrors       0\n"), std::string::npos);
}

TEST(Load, CtrlCPrintsTheSummarySoFar) {
  ServerChild server;
  Child load(load_command(server.url(), {"-c", "2", "-d", "1000", "--progress", "0.1"}));
  ASSERT_NE(load.read_line(), "");
  load.signal(SIGINT);
  EXPECT_EQ(load.wait(milliseconds(5000)), 0);
  EXPECT_NE(load.out().find("\nmessages     "), std::string::npos);
}

TEST(Load, AServerThatDiesIsCounted) {
  auto server = std::make_unique<ServerChild>();
  Child load(load_command(server->url(), {"-c", "11", "-d", "1000", "--progress", "0.1"}));
  ASSERT_NE(load.read_line(), "");
  server->child().signal(SIGKILL);
  EXPECT_EQ(load.wait(milliseconds(10'000)), 1);
  EXPECT_NE(load.out().find("closed 11"), std::string::npos) << load.out();
}

TEST(LoadProgram, WhatIsNoNumberIsRefused) {
  for (const char* option : {"-d", "-r", "--open-timeout", "--step-duration"}) {
    Child load(load_command("ws://127.0.0.1:1/", {option, "nan"}));
    EXPECT_EQ(load.wait(), 2) << option;
    EXPECT_NE(load.err().find("nan"), std::string::npos) << load.err();
  }
}

TEST(LoadProgram, RefusedPortIsOneLineAndStatus2) {
  std::string url;
  {
    const Listener gone;  // a port that was free a moment ago
    url = gone.url();
  }
  Child load(load_command(url, {"-d", "1"}));
  EXPECT_EQ(load.wait(), 2);
  const std::string address = url.substr(5, url.size() - 6);
  EXPECT_EQ(load.err(), "epulse-load: cannot connect to " + address +
                            ": Connection refused; is the server running?\n");
  EXPECT_EQ(load.out(), "");
}

TEST(LoadProgram, RefusedUpgradeSaysTheStatus) {
  ServerChild server;
  Child load(load_command(server.url("/topic/"), {"-d", "1", "-c", "3"}));
  EXPECT_EQ(load.wait(), 2);
  EXPECT_NE(load.err().find("status 404"), std::string::npos) << load.err();
  EXPECT_EQ(std::count(load.err().begin(), load.err().end(), '\n'), 1);
}

// Another engine would be another load.
TEST(LoadProgram, AnEngineThatIsForbiddenIsOneLineAndStatus2) {
  std::thread([] {
    ASSERT_TRUE(forbid_uring(ENOSYS));
    Child load({EPULSE_LOAD_PATH, "ws://127.0.0.1:1/", "--engine", "io_uring"});
    EXPECT_EQ(load.wait(), 2);
    EXPECT_EQ(load.err(),
              "epulse-load: cannot use --engine io_uring: no io_uring: this kernel has none, or a "
              "seccomp filter hides it; use --engine epoll\n");
  }).join();
}

TEST(LoadProgram, UsageErrorsAreOneLineAndStatus2) {
  for (const std::vector<std::string>& options : {std::vector<std::string>{"--bogus"},
                                                  {"-c", "0"},
                                                  {"-r", "-5"},
                                                  {"-d", "x"},
                                                  {"--engine", "kqueue"},
                                                  {"-r", "5", "--pipeline", "2"},
                                                  {"--broadcast", "--handshakes"},
                                                  {"--broadcast", "--pipeline", "2"},
                                                  {"--broadcast", "-r", "5", "--window", "2"},
                                                  {"--broadcast", "-c", "2", "--publishers", "3"},
                                                  {"--broadcast", "-s", "19"},
                                                  {"--publishers", "2"},
                                                  {"--window", "2", "--pipeline", "2"},
                                                  {"--window", "2", "-r", "5"},
                                                  {"--handshakes", "--pipeline", "2"}}) {
    Child load(load_command("ws://127.0.0.1:1/", options));
    EXPECT_EQ(load.wait(), 2);
    EXPECT_EQ(std::count(load.err().begin(), load.err().end(), '\n'), 1) << load.err();
  }
  Child bad_url(load_command("http://127.0.0.1/", {}));
  EXPECT_EQ(bad_url.wait(), 2);
  EXPECT_TRUE(bad_url.err().starts_with("epulse-load: cannot use the address")) << bad_url.err();
}

}  // namespace
}  // namespace epulse::testing
