// The control socket: what it answers, and to whom.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <string>
#include <vector>

#include "server/control/settings.hpp"
#include "server/error.hpp"
#include "tests/agent/temp_dir.hpp"
#include "tests/server/child.hpp"
#include "tests/server/test_client.hpp"

namespace epulse::testing {
namespace {

using server::answer_control;

class Settings : public ::testing::Test {
 protected:
  server::Tunables tunables{{.max_connections = 100}, {}};
};

TEST_F(Settings, GetTellsAll) {
  EXPECT_EQ(answer_control("get", tunables),
            R"({"version":1,"backlog-cap":1048576,"max-connections":100,"idle-timeout":300,)"
            R"("epoll-batch":512})");
}

TEST_F(Settings, SetTellsWhatItWas) {
  EXPECT_EQ(answer_control("set idle-timeout 2.5", tunables),
            R"({"version":1,"name":"idle-timeout","before":300,"now":2.5})");
  EXPECT_EQ(tunables.idle_timeout_ns, 2'500'000'000U);
  EXPECT_EQ(answer_control("  set  idle-timeout  300 ", tunables),
            R"({"version":1,"name":"idle-timeout","before":2.5,"now":300})");
}

TEST_F(Settings, WhatIsWrongChangesNothingAndIsToldNotRepeated) {
  const std::string before = answer_control("get", tunables);
  for (const std::string line :
       {"", "get all", "set", "set backlog-cap", "set backlog-cap 4095", "set backlog-cap 1e13",
        "set backlog-cap nan", "set backlog-cap -inf", "set backlog-cap 8192x",
        "set backlog-cap 8192 1", "set epoll-batch 0", "set \"}{ 1", "SET epoll-batch 1",
        "set epoll-batch 0x10"}) {
    const std::string answer = answer_control(line, tunables);
    EXPECT_TRUE(answer.starts_with(R"({"version":1,"error":")")) << line;
    EXPECT_EQ(answer.find("}{"), std::string::npos) << line;
    EXPECT_EQ(answer_control("get", tunables), before) << line;
  }
  EXPECT_NE(answer_control("set backlog-cap 1", tunables).find("from 4096 to"), std::string::npos);
}

// With the real program.

class ControlTest : public ::testing::Test {
 protected:
  TempDir directory;
  std::string path = directory.file("control");
};

class ControlClient {
 public:
  explicit ControlClient(const std::string& path) : fd_(socket(AF_UNIX, SOCK_STREAM, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    if (connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      close(fd_);
      throw std::runtime_error("cannot connect to the control socket");
    }
  }
  ControlClient(const ControlClient&) = delete;
  ControlClient& operator=(const ControlClient&) = delete;
  ~ControlClient() { close(fd_); }

  void say(const std::string& text) const { send(fd_, text.data(), text.size(), MSG_NOSIGNAL); }
  // A line without its end; "" when the stream has ended.
  std::string read_line() const {
    std::string line;
    pollfd readable{fd_, POLLIN, 0};
    for (char c = 0; poll(&readable, 1, 10'000) == 1 && recv(fd_, &c, 1, 0) == 1 && c != '\n';) {
      line += c;
    }
    return line;
  }
  std::string ask(const std::string& text) const {
    say(text + '\n');
    return read_line();
  }

 private:
  int fd_;
};

TEST_F(ControlTest, WhatIsSetHolds) {
  ServerChild server({"--workers", "1", "--control-socket", path, "--max-connections", "50"});
  const ControlClient control(path);
  TestClient first = TestClient::open(server.port());
  EXPECT_NE(control.ask("set max-connections 1").find(R"("before":50,"now":1)"), std::string::npos);
  TestClient second(server.port());
  EXPECT_TRUE(second.request(ws::upgrade_request("x", "/", "dGhlIHNhbXBsZSBub25jZQ=="))
                  .starts_with("HTTP/1.1 503 "));
  control.ask("set max-connections 50");
  control.ask("set epoll-batch 1");
  TestClient third = TestClient::open(server.port());
  control.ask("set idle-timeout 0.2");
  // Who is looked at next.
  TestClient fourth = TestClient::open(server.port());
  EXPECT_EQ(fourth.receive().kind, ws::Event::Kind::kPing);
}

TEST_F(ControlTest, WhatSomebodyElseHasSetMeanwhileStays) {
  const ServerChild server({"--workers", "1", "--control-socket", path, "--idle-timeout", "7.5"});
  const ControlClient control(path);
  EXPECT_NE(control.ask("set epoll-batch 64 if 512").find(R"("before":512,"now":64)"),
            std::string::npos);
  EXPECT_NE(control.ask("set epoll-batch 32 if 512").find("epoll-batch is 64, not 512"),
            std::string::npos);
  EXPECT_NE(control.ask("get").find(R"("epoll-batch":64)"), std::string::npos);
  EXPECT_NE(control.ask("set idle-timeout 9 if 7.5").find(R"("before":7.5,"now":9)"),
            std::string::npos);
  for (const char* bad : {"set epoll-batch 32 if", "set epoll-batch 32 if x",
                          "set epoll-batch 32 unless 64", "set epoll-batch 32 if 64 65"}) {
    EXPECT_NE(control.ask(bad).find("error"), std::string::npos) << bad;
  }
}

TEST_F(ControlTest, LinesInPiecesManyAtOnceAndTooLongOnes) {
  const ServerChild server({"--workers", "1", "--control-socket", path});
  const ControlClient slow(path);
  slow.say("g");
  const ControlClient fast(path);
  fast.say("get\nget\nnonsense\nget\n");
  EXPECT_EQ(fast.read_line(), fast.read_line());
  EXPECT_NE(fast.read_line().find("unknown request"), std::string::npos);
  EXPECT_TRUE(fast.read_line().starts_with("{\"version\":1,\"backlog-cap\""));
  slow.say("et\n");
  EXPECT_TRUE(slow.read_line().starts_with("{\"version\":1,\"backlog-cap\""));
  fast.say(std::string(100'000, 'x'));
  EXPECT_NE(fast.read_line().find("more than 256 bytes"), std::string::npos);
  EXPECT_EQ(fast.read_line(), "");
  EXPECT_TRUE(slow.ask("get").starts_with("{\"version\":1,\"backlog-cap\""));
}

TEST_F(ControlTest, WhoFloodsAndDoesNotReadIsDropped) {
  const ServerChild server({"--workers", "1", "--control-socket", path});
  const ControlClient flood(path);
  std::string requests;
  for (int i = 0; i < 10'000; ++i) requests += "get\n";
  flood.say(requests);
  const ControlClient other(path);
  EXPECT_TRUE(other.ask("get").starts_with("{\"version\":1,\"backlog-cap\""));
}

TEST_F(ControlTest, MoreClientsThanItTakesAreToldSo) {
  const ServerChild server({"--workers", "1", "--control-socket", path});
  std::vector<std::unique_ptr<ControlClient>> clients;
  for (int i = 0; i < 16; ++i) {
    clients.push_back(std::make_unique<ControlClient>(path));
    EXPECT_NE(clients.back()->ask("get"), "");
  }
  EXPECT_NE(ControlClient(path).read_line().find("too many clients"), std::string::npos);
}

TEST_F(ControlTest, TheFileIsOursAloneAndGoesWithUs) {
  {
    ServerChild server({"--workers", "1", "--control-socket", path});
    struct stat status {};
    ASSERT_EQ(lstat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode, mode_t{S_IFSOCK | S_IRUSR | S_IWUSR});
    Child second({EPULSE_WS_PATH, "--listen", "127.0.0.1:0", "--control-socket", path});
    EXPECT_EQ(second.wait(), 2);
    EXPECT_NE(second.err().find("belongs to a running server"), std::string::npos) << second.err();
    EXPECT_NE(ControlClient(path).ask("get"), "");
    server.child().signal(SIGTERM);
    EXPECT_EQ(server.child().wait(), 0);
  }
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
}

TEST_F(ControlTest, WhatAKilledServerLeftIsReplacedOtherFilesAreNot) {
  {
    const ServerChild killed({"--workers", "1", "--control-socket", path});
    EXPECT_TRUE(std::filesystem::exists(path));
  }  // by SIGKILL
  ASSERT_TRUE(std::filesystem::exists(path));
  const ServerChild server({"--workers", "1", "--control-socket", path});
  EXPECT_NE(ControlClient(path).ask("get"), "");

  const std::string file = directory.file("file");
  write_text(file, "precious");
  Child other({EPULSE_WS_PATH, "--listen", "127.0.0.1:0", "--control-socket", file});
  EXPECT_EQ(other.wait(), 2);
  EXPECT_NE(other.err().find("no socket"), std::string::npos) << other.err();
  EXPECT_TRUE(std::filesystem::is_regular_file(file));
  Child nowhere({EPULSE_WS_PATH, "--listen", "127.0.0.1:0", "--control-socket", "/no/such/place"});
  EXPECT_EQ(nowhere.wait(), 2);
  EXPECT_NE(nowhere.err().find("'/no/such/place'"), std::string::npos) << nowhere.err();
}

TEST_F(ControlTest, AfterAHotRestartTheNewProcessAnswers) {
  ServerChild server({"--workers", "1", "--control-socket", path, "--linger", "0.1"});
  EXPECT_NE(ControlClient(path).ask("set epoll-batch 7"), "");
  server.child().signal(SIGUSR2);
  const Heir heir(server.child().read_line());
  EXPECT_EQ(server.child().wait(), 0);
  EXPECT_NE(ControlClient(path).ask("get").find("\"epoll-batch\":512"), std::string::npos);
  heir.signal(SIGTERM);
  EXPECT_TRUE(eventually([&] { return !std::filesystem::exists(path); }));
}

}  // namespace
}  // namespace epulse::testing
