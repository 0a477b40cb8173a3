// Which TLS sessions are resumed, without a network.
#include "tools/load/tls_sessions.hpp"

#include <gtest/gtest.h>

#include <utility>

#include "server/tls/context.hpp"
#include "tests/server/tls_pair.hpp"
#include "tools/load/tls.hpp"

namespace epulse::load {
namespace {

using testing::Bytes;
using testing::IdentityFiles;
using testing::ServerEnd;

// Our end of one connection.
class ClientEnd : private tls::Sink {
 public:
  ClientEnd(SSL_CTX& context, TlsSessions& sessions)
      : stream(context, tls::Stream::Role::kClient, pipe_) {
    sessions.use(stream.ssl());
    stream.start(*this);
  }

  void feed(tls::Part cipher) {
    while (!cipher.empty()) stream.read(cipher, *this);
  }
  Bytes take_output() { return std::exchange(output_, {}); }

 private:
  void take(tls::Part cipher) override {
    output_.insert(output_.end(), cipher.begin(), cipher.end());
  }

  tls::Pipe pipe_;
  Bytes output_;

 public:
  tls::Stream stream;
};

// One connection.
class Pair {
 public:
  Pair(SSL_CTX& client_context, const tls::Context& server_context, TlsSessions& sessions)
      : sessions_(sessions), client_(client_context, sessions), server_(server_context) {}

  // Does the handshake.
  bool resumes() {
    for (Bytes up = client_.take_output(); !up.empty(); up = client_.take_output()) {
      server_.feed(up);
      client_.feed(server_.take_output());
    }
    EXPECT_EQ(client_.stream.state(), tls::Stream::State::kOpen) << client_.stream.error();
    const bool resumed = sessions_.resumed(client_.stream.ssl());
    EXPECT_EQ(resumed, SSL_session_reused(&server_.stream.ssl()) == 1);
    return resumed;
  }

 private:
  TlsSessions& sessions_;
  ClientEnd client_;
  ServerEnd server_;
};

class TlsSessionsTest : public ::testing::Test {
 protected:
  TlsSessionsTest() {
    Options options;
    options.tls_insecure = true;
    options.tls_resume = true;
    client_context_ = make_tls_context(options, parse_url("wss://localhost/"));
  }

  // Whether a connection, which then ends without a word, resumes.
  bool resumes(const tls::Context& context, TlsSessions& sessions, int version = 0) {
    SSL_CTX_set_max_proto_version(client_context_.get(), version);
    return Pair(*client_context_, context, sessions).resumes();
  }

  tls::Context server() const {
    return tls::Context({.certificate_file = files_.certificate(),
                         .key_file = files_.key(),
                         .allow_tls12 = true,
                         .early_paths = {}});
  }

  SSL_CTX& client() { return *client_context_; }

 private:
  IdentityFiles files_;
  TlsContext client_context_;
};

TEST_F(TlsSessionsTest, EachResumesTheOneBefore) {
  const tls::Context context = server();
  TlsSessions sessions(3);
  EXPECT_FALSE(resumes(context, sessions));
  for (int k = 0; k < 5; ++k) EXPECT_TRUE(resumes(context, sessions)) << k;
}

TEST_F(TlsSessionsTest, OfTls12Too) {
  const tls::Context context = server();
  TlsSessions sessions(3);
  EXPECT_FALSE(resumes(context, sessions, TLS1_2_VERSION));
  for (int k = 0; k < 5; ++k) EXPECT_TRUE(resumes(context, sessions, TLS1_2_VERSION)) << k;
}

// The keys of the tickets are another's: the handshake is done in full, and its ticket is good.
TEST_F(TlsSessionsTest, ATicketThatIsRefusedIsNoError) {
  const tls::Context first = server();
  const tls::Context second = server();
  TlsSessions sessions(3);
  EXPECT_FALSE(resumes(first, sessions));
  EXPECT_FALSE(resumes(second, sessions));
  EXPECT_TRUE(resumes(second, sessions));
}

// A thread needs no more than it has connections, whatever the server gives.
TEST_F(TlsSessionsTest, OfTooManyTheOldestAreForgotten) {
  const tls::Context context = server();
  TlsSessions sessions(2);
  {
    // Three at once: each has a ticket in the end, and none had one to begin with.
    Pair first(client(), context, sessions);
    Pair second(client(), context, sessions);
    Pair third(client(), context, sessions);
    for (Pair* pair : {&first, &second, &third}) EXPECT_FALSE(pair->resumes());
  }
  Pair first(client(), context, sessions);
  Pair second(client(), context, sessions);
  Pair third(client(), context, sessions);
  EXPECT_TRUE(first.resumes());
  EXPECT_TRUE(second.resumes());
  EXPECT_FALSE(third.resumes());
}

}  // namespace
}  // namespace epulse::load
