// Hot restart with the real program.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <regex>
#include <string>
#include <thread>

#include "tests/agent/temp_dir.hpp"
#include "tests/server/child.hpp"
#include "tests/server/counters.hpp"
#include "tests/server/test_client.hpp"

namespace epulse::testing {
namespace {

using Kind = ws::Event::Kind;
using ws::CloseCode;
using ws::Opcode;

std::string echo(TestClient& client, const std::string& text) {
  client.send(Opcode::kText, text);
  return text_of(client.receive().payload);
}

TEST(HotRestart, NobodyIsRefusedAndWhoIsThereIsServedUntilTheEnd) {
  ServerChild server({"--workers", "2", "--linger", "0.7"});
  TestClient old = TestClient::open(server.port());
  std::atomic<int> served{0};
  std::atomic<int> failed{0};
  std::jthread newcomers([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      try {
        TestClient client = TestClient::open(server.port());
        echo(client, "new") == "new" ? ++served : ++failed;
      } catch (const std::exception&) {
        ++failed;
      }
    }
  });
  EXPECT_TRUE(eventually([&] { return served > 20; }));
  server.child().signal(SIGUSR2);
  const std::string line = server.child().read_line();
  const Heir heir(line);
  EXPECT_NE(line.find("127.0.0.1:" + std::to_string(server.port()) + ","), std::string::npos)
      << line;
  EXPECT_NE(heir.pid(), server.child().pid());
  EXPECT_EQ(echo(old, "still here"), "still here");
  expect_close(old, CloseCode::kGoingAway);
  EXPECT_EQ(server.child().wait(), 0) << server.child().err();
  const int so_far = served;
  EXPECT_TRUE(eventually([&] { return served > so_far + 20; }));
  newcomers.request_stop();
  newcomers.join();
  EXPECT_EQ(failed, 0);
  EXPECT_NE(server.child().err().find("has taken over"), std::string::npos);
  // And once more, by the one that has taken over.
  heir.signal(SIGUSR2);
  const Heir next(server.child().read_line());
  EXPECT_TRUE(heir.ended());
  TestClient last = TestClient::open(server.port());
  EXPECT_EQ(echo(last, "x"), "x");
  next.signal(SIGTERM);
  EXPECT_TRUE(last.ended());
}

// Whose thread the first worker of the server on this port is.
bool serves(pid_t pid, int port) {
  const std::string stats = get(port, "/stats");
  std::smatch match;
  return std::regex_search(stats, match, std::regex("worker 0 tid ([0-9]+)")) &&
         std::filesystem::exists("/proc/" + std::to_string(pid) + "/task/" + match[1].str());
}

// Whether the old process has come to accept nobody any more.
bool has_taken_over(const Heir& heir, int port) {
  return eventually([&] {
    for (int i = 0; i < 50; ++i) {
      if (!serves(heir.pid(), port)) return false;
    }
    return true;
  });
}

TEST(HotRestart, TheOldProcessAcceptsNobodyWhileItLingers) {
  ServerChild server({"--workers", "1", "--linger", "60"});
  TestClient old = TestClient::open(server.port());
  server.child().signal(SIGUSR2);
  const Heir heir(server.child().read_line());
  ASSERT_TRUE(has_taken_over(heir, server.port()));
  TestClient patient(server.port());
  EXPECT_EQ(echo(old, "still here"), "still here");
  server.child().signal(SIGTERM);  // ends the lingering
  expect_close(old, CloseCode::kGoingAway);
  EXPECT_EQ(server.child().wait(), 0);
  // It has said nothing until the old process has gone.
  EXPECT_TRUE(patient.request(ws::upgrade_request("x", "/", "dGhlIHNhbXBsZSBub25jZQ=="))
                  .starts_with("HTTP/1.1 101 "));
}

TEST(HotRestart, ASuccessorThatFailsChangesNothing) {
  const TempDir directory;
  const std::string config = directory.file("epulse-ws.toml");
  write_text(config, "workers = 2\n");
  ServerChild server({"--config", config});
  TestClient client = TestClient::open(server.port());
  write_text(config, "workers = 1\n");
  server.child().signal(SIGUSR2);
  EXPECT_TRUE(eventually(
      [&] { return server.child().err_so_far().find("going on as before") != std::string::npos; }));
  EXPECT_NE(server.child().err_so_far().find("give --workers 2"), std::string::npos)
      << server.child().err_so_far();
  EXPECT_EQ(echo(client, "x"), "x");
  TestClient next = TestClient::open(server.port());
  EXPECT_EQ(echo(next, "y"), "y");
}

}  // namespace
}  // namespace epulse::testing
