// The TLS stream, without a network: what a client of OpenSSL's says, in pieces of every size.
#include "server/tls/stream.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "tests/server/tls_pair.hpp"

namespace epulse::tls {
namespace {

using testing::Bytes;
using testing::ClientSettings;
using testing::exchange;
using testing::IdentityFiles;
using testing::MemoryClient;
using testing::ServerEnd;
using State = Stream::State;

Options options_of(const IdentityFiles& files, bool allow_tls12 = false) {
  return {.certificate_file = files.certificate(),
          .key_file = files.key(),
          .allow_tls12 = allow_tls12,
          .early_paths = {}};
}

std::string sample(std::size_t size) {
  std::string text(size, ' ');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('!' + i * i % 89);
  return text;
}

class InPieces : public ::testing::TestWithParam<std::size_t> {};

TEST_P(InPieces, BothWaysAnySize) {
  const IdentityFiles files;
  const Context context(options_of(files));
  MemoryClient client;
  ServerEnd server(context);
  exchange(client, server, GetParam());
  ASSERT_EQ(server.stream.state(), State::kOpen) << server.stream.error();
  for (const std::size_t size : {1U, 20U, 16383U, 16384U, 16385U, 100'000U}) {
    const std::string text = sample(size);
    client.write(text);
    exchange(client, server, GetParam());
    EXPECT_TRUE(std::exchange(server.plain, {}) == text) << size;
    server.write(text);
    exchange(client, server, GetParam());
    EXPECT_TRUE(client.read() == text) << size;
  }
}

INSTANTIATE_TEST_SUITE_P(TlsStream, InPieces,
                         ::testing::Values(1, 2, 3, 5, 7, 64, 1009, 16384, 65536, 1 << 20));

TEST(TlsStream, OneWriteIsOneRecordUpToItsLimit) {
  const IdentityFiles files;
  const Context context(options_of(files));
  MemoryClient client;
  ServerEnd server(context);
  exchange(client, server);
  // RFC 8446, 5.2: header, plaintext, type of content, tag.
  constexpr std::size_t kOverhead = 5 + 1 + 16;
  server.write(sample(100));
  EXPECT_EQ(server.take_output().size(), 100 + kOverhead);
  server.write(sample(kMaxRecordBytes));
  EXPECT_EQ(server.take_output().size(), kMaxRecordBytes + kOverhead);
  server.write(sample(kMaxRecordBytes + 1));
  EXPECT_EQ(server.take_output().size(), kMaxRecordBytes + 1 + 2 * kOverhead);
}

TEST(TlsStream, NothingIsWrittenBeforeThereAreKeys) {
  const IdentityFiles files;
  const Context context(options_of(files));
  ServerEnd server(context);
  server.write("secret");
  server.shutdown();
  EXPECT_TRUE(server.take_output().empty());
  EXPECT_EQ(server.stream.state(), State::kHandshake);
}

TEST(TlsStream, VersionsAndTheirCiphers) {
  const IdentityFiles files;
  const Context strict(options_of(files));
  const Context lenient(options_of(files, true));
  const ClientSettings old{.version_min = TLS1_2_VERSION, .version_max = TLS1_2_VERSION};
  {
    MemoryClient client(old);
    ServerEnd server(strict);
    exchange(client, server);
    EXPECT_EQ(server.stream.state(), State::kFailed);
    EXPECT_EQ(server.stream.error(), "unsupported protocol");
    EXPECT_EQ(client.error(), "tlsv1 alert protocol version");
  }
  {
    MemoryClient client(old);
    ServerEnd server(lenient);
    exchange(client, server);
    ASSERT_EQ(server.stream.state(), State::kOpen) << server.stream.error();
    EXPECT_STREQ(SSL_get_version(&client.ssl()), "TLSv1.2");
    EXPECT_STREQ(SSL_get_cipher(&client.ssl()), "ECDHE-ECDSA-AES128-GCM-SHA256");
    client.write("old but well");
    exchange(client, server);
    EXPECT_EQ(server.plain, "old but well");
  }
  MemoryClient client;
  ServerEnd server(lenient);
  exchange(client, server);
  EXPECT_STREQ(SSL_get_version(&client.ssl()), "TLSv1.3");
  EXPECT_STREQ(SSL_get_cipher(&client.ssl()), "TLS_AES_128_GCM_SHA256");
}

TEST(TlsStream, RenegotiationIsRefused) {
  const IdentityFiles files;
  const Context context(options_of(files, true));
  MemoryClient client({.version_min = TLS1_2_VERSION, .version_max = TLS1_2_VERSION});
  ServerEnd server(context);
  exchange(client, server);
  ASSERT_EQ(server.stream.state(), State::kOpen);
  ASSERT_EQ(SSL_renegotiate(&client.ssl()), 1);
  exchange(client, server);
  EXPECT_EQ(client.read(), "");
  EXPECT_EQ(client.error(), "no renegotiation");
}

TEST(TlsStream, Alpn) {
  const IdentityFiles files;
  const Context context(options_of(files));
  const std::string h2 = "\x02h2";
  const std::string http11 = "\x08http/1.1";
  for (const std::string& offer : {http11, h2 + http11}) {
    MemoryClient client({.protocols = offer});
    ServerEnd server(context);
    exchange(client, server);
    const unsigned char* chosen = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(&client.ssl(), &chosen, &size);
    EXPECT_EQ(std::string(chosen, chosen + size), "http/1.1");
  }
  MemoryClient client({.protocols = h2});
  ServerEnd server(context);
  exchange(client, server);
  EXPECT_EQ(server.stream.state(), State::kFailed);
  EXPECT_EQ(client.error(), "tlsv1 alert no application protocol");
}

TEST(TlsStream, CloseNotifyBothWays) {
  const IdentityFiles files;
  const Context context(options_of(files));
  MemoryClient client;
  ServerEnd server(context);
  exchange(client, server);
  client.write("the last");
  SSL_shutdown(&client.ssl());
  exchange(client, server);
  EXPECT_EQ(server.plain, "the last");
  EXPECT_EQ(server.stream.state(), State::kEnded);
  server.write("mine");
  server.shutdown();
  exchange(client, server);
  EXPECT_EQ(client.read(), "mine");
  EXPECT_TRUE(client.ended());
  EXPECT_EQ(client.error(), "");
}

TEST(TlsStream, NewKeysOnTheWay) {
  const IdentityFiles files;
  const Context context(options_of(files));
  MemoryClient client;
  ServerEnd server(context);
  exchange(client, server);
  for (int i = 0; i < 3; ++i) {
    SSL_key_update(&client.ssl(), SSL_KEY_UPDATE_REQUESTED);
    client.write("up");
    exchange(client, server);
    server.write("down");
    exchange(client, server);
    EXPECT_EQ(client.read(), "down");
  }
  EXPECT_EQ(server.plain, "upupup");
}

// What is no TLS, or no longer.

std::string error_on(const Context& context, Part garbage) {
  ServerEnd server(context);
  server.feed(garbage);
  return server.stream.state() == State::kFailed ? server.stream.error() : "";
}

TEST(TlsStream, WhatIsNoTlsIsTurnedAway) {
  const IdentityFiles files;
  const Context context(options_of(files));
  EXPECT_EQ(error_on(context, testing::bytes_of("GET / HTTP/1.1\r\n\r\n")), "http request");
  EXPECT_EQ(error_on(context, testing::bytes_of("SSH-2.0-OpenSSH_9.2\r\n")),
            "wrong version number");
  std::mt19937 random(1);
  for (int i = 0; i < 200; ++i) {
    Bytes garbage(1 + random() % 4000);
    for (std::uint8_t& byte : garbage) byte = static_cast<std::uint8_t>(random());
    ServerEnd server(context);
    server.feed(garbage);
    EXPECT_NE(server.stream.state(), State::kOpen);
    EXPECT_EQ(server.plain, "");
  }
}

TEST(TlsStream, ADamagedHandshakeOrRecordEndsIt) {
  const IdentityFiles files;
  const Context context(options_of(files));
  std::mt19937 random(2);
  for (int i = 0; i < 100; ++i) {
    MemoryClient client;
    ServerEnd server(context);
    if (i % 2 == 0) exchange(client, server);
    client.shake();
    if (i % 2 == 0) client.write(sample(100));
    Bytes bytes = client.take_output();
    bytes[random() % bytes.size()] ^= static_cast<std::uint8_t>(1U << random() % 8);
    server.feed(bytes);
    EXPECT_EQ(server.plain, "");
    EXPECT_TRUE(i % 2 != 0 || server.stream.state() != State::kOpen ||
                server.take_output().empty());
  }
}

TEST(TlsStream, TheClientIsToldWhatWasWrong) {
  const IdentityFiles files;
  const Context context(options_of(files));
  MemoryClient client;
  ServerEnd server(context);
  exchange(client, server);
  client.write("x");
  Bytes bytes = client.take_output();
  bytes.back() ^= 1U;
  server.feed(bytes);
  EXPECT_EQ(server.stream.state(), State::kFailed);
  EXPECT_EQ(server.stream.error(), "decryption failed or bad record mac");
  client.feed(server.take_output());
  EXPECT_EQ(client.read(), "");
  EXPECT_EQ(client.error(), "sslv3 alert bad record mac");
}

}  // namespace
}  // namespace epulse::tls
