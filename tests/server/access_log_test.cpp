// The access log: what a line says, and that each connection gets its one.
#include "server/access_log.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <regex>
#include <string>

#include "tests/agent/temp_dir.hpp"
#include "tests/server/child.hpp"
#include "tests/server/counters.hpp"
#include "tests/server/test_client.hpp"

namespace epulse::testing {
namespace {

using ws::CloseCode;
using ws::Opcode;

TEST(AccessLine, HasWhatTheRecordHas) {
  server::AccessRecord record{.peer = "[::1]:5",
                              .method = "GET",
                              .target = "/topic/a",
                              .status = 101,
                              .duration_ns = 1'234'567'890,
                              .messages_in = 3,
                              .messages_out = 4,
                              .bytes_in = 60,
                              .bytes_out = 80,
                              .close_code = CloseCode::kNormal};
  EXPECT_EQ(server::access_line(record),
            R"([::1]:5 "GET /topic/a" 101 1.234568 in=3/60 out=4/80 close=1000)");
  record.status = 404;
  record.peer.clear();
  EXPECT_EQ(server::access_line(record), R"(- "GET /topic/a" 404 1.234568)");
}

TEST(AccessLine, CannotBeForged) {
  const server::AccessRecord record{
      .peer = "p", .method = "GET", .target = "/\"\\\n\x7F\xC3 ", .status = 400};
  EXPECT_EQ(server::access_line(record), R"(p "GET /\x22\x5C\x0A\x7F\xC3\x20" 400 0.000000)");
}

class AccessLogTest : public ::testing::Test {
 protected:
  static bool has(const std::string& path, const std::string& pattern) {
    return eventually([&] { return std::regex_search(read_text(path), std::regex(pattern)); });
  }
  static void exchange(int port, const std::string& path) {
    TestClient client = TestClient::open(port, path);
    client.send(Opcode::kText, "hello");
    client.receive();
    const Bytes close = {0x03, 0xE8};
    client.send_raw(client_frame(Opcode::kClose, close));
    EXPECT_TRUE(client.ended());
  }

  TempDir directory;
  std::string file = directory.file("access.log");
};

TEST_F(AccessLogTest, ALineForEachConnectionThatAskedForSomething) {
  ServerChild server({"--workers", "1", "--access-log", file});
  exchange(server.port(), "/a");
  EXPECT_TRUE(has(file, "\"GET /a\" 101 [0-9.]+ in=1/5 out=1/5 close=1000\n"));
  get(server.port(), "/nothing");
  EXPECT_TRUE(has(file, " 127\\.0\\.0\\.1:[0-9]+ \"GET /nothing\" 426 [0-9.]+\n"));
  exchange(server.port(), "/topic/t");
  EXPECT_TRUE(has(file, "\"GET /topic/t\" 101 [0-9.]+ in=1/5 out=1/5 close=1000\n"));
  EXPECT_TRUE(std::regex_search(read_text(file),
                                std::regex("^20[0-9-]+T[0-9:.]+[+-][0-9]{2}:?[0-9]{2} 127")));

  // As logrotate does it.
  std::filesystem::rename(file, file + ".1");
  server.child().signal(SIGHUP);
  ASSERT_TRUE(eventually([&] { return std::filesystem::exists(file); }));
  exchange(server.port(), "/after");
  EXPECT_TRUE(has(file, "/after"));
  EXPECT_EQ(read_text(file + ".1").find("/after"), std::string::npos);
  server.child().signal(SIGTERM);
  EXPECT_EQ(server.child().wait(), 0);
  const std::string old = read_text(file + ".1");
  EXPECT_EQ(std::count(old.begin(), old.end(), '\n'), 3) << old;
}

TEST_F(AccessLogTest, ALineAlsoForWhoIsCutOffAtTheEnd) {
  ServerChild server({"--workers", "1", "--access-log", file});
  const TestClient silent = TestClient::open(server.port(), "/silent");  // and answers no close
  server.child().signal(SIGTERM);
  EXPECT_EQ(server.child().wait(), 0);
  EXPECT_TRUE(has(file, "\"GET /silent\" 101 [0-9.]+ in=0/0 out=0/0 close=1001\n"))
      << read_text(file);
}

TEST_F(AccessLogTest, ASampleOfThem) {
  ServerChild server({"--workers", "1", "--access-log", file, "--access-log-sample", "5"});
  for (int i = 0; i < 20; ++i) exchange(server.port(), "/" + std::to_string(i));
  server.child().signal(SIGTERM);
  EXPECT_EQ(server.child().wait(), 0);
  const std::string text = read_text(file);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 4) << text;
}

TEST_F(AccessLogTest, AFileThatCannotBeWrittenIsSaidAtTheStart) {
  Child child({EPULSE_WS_PATH, "--listen", "127.0.0.1:0", "--access-log", directory.path()});
  EXPECT_EQ(child.wait(), 2);
  EXPECT_NE(child.err().find("cannot write the access log"), std::string::npos) << child.err();
  EXPECT_NE(child.err().find(directory.path()), std::string::npos) << child.err();

  const std::string dir = directory.file("missing");
  Child typo({EPULSE_WS_PATH, "--listen", "127.0.0.1:0", "--access-log", dir + "/a.log"});
  EXPECT_EQ(typo.wait(), 2);
  EXPECT_NE(typo.err().find("there is no directory " + dir), std::string::npos) << typo.err();
  EXPECT_FALSE(std::filesystem::exists(dir));
}

}  // namespace
}  // namespace epulse::testing
