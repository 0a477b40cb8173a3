// What the server reads from files, what it says when it cannot, and what it keeps across a reload.
#include "server/tls/context.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include "server/error.hpp"
#include "tests/server/tls_pair.hpp"

namespace epulse::tls {
namespace {

using testing::exchange;
using ::testing::HasSubstr;
using testing::Identity;
using testing::IdentityFiles;
using testing::make_identity;
using testing::MemoryClient;
using testing::ServerEnd;
using testing::SessionPtr;

Options options_of(const IdentityFiles& files) {
  return {.certificate_file = files.certificate(), .key_file = files.key(), .early_paths = {}};
}

std::string refusal(const Options& options) {
  std::string text = error_of([&] { Context context(options); });
  EXPECT_EQ(ERR_peek_error(), 0U);
  EXPECT_EQ(text.find('\n'), std::string::npos) << text;
  return text;
}

TEST(TlsContext, SaysWhichFileIsWrongAndWhy) {
  const IdentityFiles files;
  const std::string missing = files.file("missing.pem");
  const std::string garbage = files.file("garbage.pem");
  write_text(garbage, std::string(5000, '\x5a'));

  Options options = options_of(files);
  options.certificate_file = missing;
  EXPECT_THAT(refusal(options),
              AllOf(HasSubstr(missing), HasSubstr("No such file"), HasSubstr("--tls-cert")));
  options.certificate_file = garbage;
  EXPECT_THAT(refusal(options),
              AllOf(HasSubstr(garbage), HasSubstr("no start line"), HasSubstr("--tls-cert")));
  options.certificate_file = files.key();
  EXPECT_THAT(refusal(options), AllOf(HasSubstr(files.key()), HasSubstr("no start line")));
  options = options_of(files);
  options.key_file = missing;
  EXPECT_THAT(refusal(options), AllOf(HasSubstr(missing), HasSubstr("--tls-key")));
  options.key_file = files.certificate();
  EXPECT_THAT(refusal(options), AllOf(HasSubstr(files.certificate()), HasSubstr("--tls-key")));
}

TEST(TlsContext, SaysThatKeyAndCertificateDoNotBelongTogether) {
  const IdentityFiles files;
  for (const auto kind : {testing::KeyKind::kP256, testing::KeyKind::kRsa2048}) {
    write_text(files.key(), make_identity("other", kind).key);
    EXPECT_THAT(refusal(options_of(files)),
                AllOf(HasSubstr(files.key()), HasSubstr(files.certificate()),
                      HasSubstr("issued together")));
  }
}

TEST(TlsContext, SaysThatAKeyIsLockedAndDoesNotAsk) {
  const IdentityFiles files;
  write_text(files.key(), testing::lock_key(make_identity("localhost").key, "secret"));
  EXPECT_THAT(refusal(options_of(files)),
              AllOf(HasSubstr("passphrase"), HasSubstr("openssl pkey")));
}

// Whatever the files hold: an error of one line, or a context; never an end.
TEST(TlsContext, DamagedFiles) {
  const IdentityFiles files;
  const Identity whole = make_identity("localhost");
  for (std::size_t cut = 0; cut < whole.certificate.size(); cut += 23) {
    files.install({whole.certificate.substr(0, cut), whole.key});
    EXPECT_NE(refusal(options_of(files)), "") << cut;
    std::string certificate = whole.certificate;
    certificate[cut] = static_cast<char>(certificate[cut] ^ 2);
    files.install({certificate, whole.key});
    refusal(options_of(files));
  }
  for (std::size_t cut = 0; cut + 30 < whole.key.size(); cut += 7) {
    files.install({whole.certificate, whole.key.substr(0, cut)});
    EXPECT_NE(refusal(options_of(files)), "") << cut;
  }
}

TEST(TlsContext, ReloadIsForConnectionsToCome) {
  const IdentityFiles files("first");
  Context context(options_of(files));
  MemoryClient old_client;
  ServerEnd old_server(context);
  exchange(old_client, old_server);
  files.install(make_identity("second", testing::KeyKind::kRsa2048));
  context.reload();
  MemoryClient client;
  ServerEnd server(context);
  exchange(client, server);
  EXPECT_EQ(client.server_name(), "second");
  EXPECT_EQ(old_client.server_name(), "first");
  old_client.write("still here");
  exchange(old_client, old_server);
  EXPECT_EQ(old_server.plain, "still here");
}

TEST(TlsContext, AFailedReloadChangesNothing) {
  const IdentityFiles files("first");
  Context context(options_of(files));
  files.install({make_identity("second").certificate, make_identity("third").key});
  EXPECT_THROW(context.reload(), server::Error);
  MemoryClient client;
  ServerEnd server(context);
  exchange(client, server);
  EXPECT_EQ(client.server_name(), "first");
}

// Sessions.

bool resumes(Context& context, const SessionPtr& session, int version, SessionPtr* next = nullptr) {
  MemoryClient client({.version_min = version, .version_max = version, .session = session});
  ServerEnd server(context);
  exchange(client, server);
  EXPECT_EQ(server.stream.state(), Stream::State::kOpen) << server.stream.error();
  client.read();  // The ticket comes after the handshake.
  if (next != nullptr) *next = SessionPtr(SSL_get1_session(&client.ssl()), SSL_SESSION_free);
  SSL_shutdown(&client.ssl());  // OpenSSL does not resume what was cut off.
  return SSL_session_reused(&client.ssl()) == 1;
}

TEST(TlsContext, SessionsAreResumedAlsoAcrossAReload) {
  const IdentityFiles files;
  Options options = options_of(files);
  options.allow_tls12 = true;
  Context context(options);
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    SessionPtr session;
    EXPECT_FALSE(resumes(context, nullptr, version, &session));
    SessionPtr next;
    EXPECT_TRUE(resumes(context, session, version, &next));
    EXPECT_NE(next, session);  // Each connection is given a new ticket.
    files.install(make_identity("other"));
    context.reload();
    EXPECT_TRUE(resumes(context, next, version));
  }
}

TEST(TlsContext, ATicketOfAnotherServerIsNoHarm) {
  const IdentityFiles files;
  Context first(options_of(files));
  Context second(options_of(files));
  SessionPtr session;
  resumes(first, nullptr, TLS1_3_VERSION, &session);
  EXPECT_FALSE(resumes(second, session, TLS1_3_VERSION));
}

TEST(TlsContext, AHandshakeHandsOutOneTicket) {
  const IdentityFiles files;
  Context context(options_of(files));
  MemoryClient client;
  ServerEnd server(context);
  client.shake();
  server.feed(client.take_output());
  client.feed(server.take_output());
  ASSERT_TRUE(client.shake());
  server.feed(client.take_output());
  const testing::Bytes ticket = server.take_output();
  // One record: RFC 8446, 5.1.
  EXPECT_EQ(ticket.size(), 5U + (std::size_t{ticket.at(3)} << 8U) + ticket.at(4));
}

}  // namespace
}  // namespace epulse::tls
