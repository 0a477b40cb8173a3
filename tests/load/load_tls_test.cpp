// The real load generator against the real server, over TLS.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/load/load_child.hpp"
#include "tests/server/child.hpp"
#include "tests/server/tls_testing.hpp"

namespace epulse::testing {
namespace {

using ::testing::HasSubstr;

struct Result {
  int status = 0;
  std::string out;
  std::string err;
};

Result load(const std::string& url, const std::vector<std::string>& options) {
  std::vector<std::string> all = {"-d", "0.3", "-j"};
  all.insert(all.end(), options.begin(), options.end());
  Child child(load_command(url, all));
  const int status = child.wait();
  return {status, child.out(), child.err()};
}

class LoadTls : public ::testing::Test {
 protected:
  std::string url(const std::string& host = "127.0.0.1") const {
    return "wss://" + host + ":" + std::to_string(server.port()) + "/";
  }

  IdentityFiles files{"localhost"};
  ServerChild server{{"--tls-cert", files.certificate(), "--tls-key", files.key()}};
};

TEST_F(LoadTls, EveryByteOfEveryEchoIsChecked) {
  for (const char* size : {"0", "20", "16384", "200000"}) {
    const Result result =
        load(url(), {"--tls-ca", files.certificate(), "-c", "7", "-t", "2", "-s", size});
    EXPECT_EQ(result.status, 0) << result.out << result.err;
    EXPECT_THAT(result.out, HasSubstr("\"opened\":7,"));
    EXPECT_THAT(result.out, HasSubstr("\"errors_total\":0,"));
  }
}

TEST_F(LoadTls, EveryDeliveryOfABroadcastIsChecked) {
  for (const char* size : {"20", "16384"}) {
    const Result result =
        load(url() + "topic/x", {"--tls-ca", files.certificate(), "--broadcast", "-c", "7", "-t",
                                 "2", "--publishers", "2", "--window", "2", "-s", size});
    EXPECT_EQ(result.status, 0) << result.out << result.err;
    EXPECT_GT(number(result.out, "sent"), 4) << result.out;
    EXPECT_EQ(number(result.out, "received"), 7 * number(result.out, "sent")) << result.out;
  }
}

TEST_F(LoadTls, TheServerMustBeWhoItShould) {
  const auto expect_refused = [&](const Result& result, const std::string& why) {
    EXPECT_EQ(result.status, 2) << result.out;
    EXPECT_THAT(result.err, HasSubstr(why));
    EXPECT_THAT(result.err, HasSubstr("--tls-insecure"));
  };
  expect_refused(load(url(), {}), "certificate verify failed: self-signed certificate");
  write_text(files.file("other.pem"), make_identity("other").certificate);
  expect_refused(load(url(), {"--tls-ca", files.file("other.pem")}), "certificate verify failed");
  EXPECT_EQ(load(url("localhost"), {"--tls-ca", files.certificate()}).status, 0);
  EXPECT_EQ(load(url(), {"--tls-insecure"}).status, 0);
  const IdentityFiles strange("example.org");
  files.install({read_text(strange.certificate()), read_text(strange.key())});
  server.child().signal(SIGHUP);
  Result result;
  for (int i = 0; i < 100 && result.err.find("mismatch") == std::string::npos; ++i) {
    result = load(url("localhost"), {"--tls-ca", files.certificate()});
  }
  expect_refused(result, "certificate verify failed: hostname mismatch");
}

TEST_F(LoadTls, SaysWhatIsWrong) {
  const Result plain = load("ws://127.0.0.1:" + std::to_string(server.port()) + "/", {});
  EXPECT_EQ(plain.status, 2);
  const ServerChild without({"--handshake-timeout", "0.3"});
  const Result tls =
      load("wss://127.0.0.1:" + std::to_string(without.port()) + "/", {"--tls-insecure"});
  EXPECT_EQ(tls.status, 2);
  EXPECT_THAT(tls.err, HasSubstr("cannot speak TLS with 127.0.0.1:"));
  const Result missing = load(url(), {"--tls-ca", files.file("missing.pem")});
  EXPECT_EQ(missing.status, 2);
  EXPECT_THAT(missing.err, HasSubstr("missing.pem"));
}

// Each connection takes the ticket that an earlier one was given: all but the first of each resume.
TEST_F(LoadTls, SessionsAreResumed) {
  const std::vector<std::string> options = {"--tls-ca", files.certificate(), "-c", "4", "-t",
                                            "2",        "--handshakes"};
  const auto handshakes = [&](const std::string& at, std::vector<std::string> more) {
    more.insert(more.end(), options.begin(), options.end());
    const Result result = load(at, more);
    EXPECT_EQ(result.status, 0) << result.out << result.err;
    EXPECT_GT(number(result.out, "received"), 8) << result.out;
    EXPECT_EQ(number(result.out, "tls_handshakes"), number(result.out, "received") + 4);
    return result.out;
  };
  EXPECT_EQ(number(handshakes(url(), {}), "tls_resumed"), 0);
  const std::string resumed = handshakes(url(), {"--tls-resume"});
  EXPECT_EQ(number(resumed, "tls_resumed"), number(resumed, "received")) << resumed;

  Child text(load_command(url(), {"--tls-insecure", "--tls-resume", "-c", "1", "-d", "0.1"}));
  ASSERT_EQ(text.wait(), 0) << text.err();
  EXPECT_THAT(text.out(), HasSubstr("\ntls          0 of 1 handshakes resumed a session\n"));
}

TEST_F(LoadTls, OnlyTlsHasSessions) {
  const ServerChild plain;
  const Result result = load(plain.url(), {"--tls-resume"});
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.err, HasSubstr("--tls-resume wants wss://"));
}

}  // namespace
}  // namespace epulse::testing
