#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "server/tls/context.hpp"
#include "server/tls/stream.hpp"
#include "tests/server/tls_testing.hpp"

namespace epulse::testing {

// The server's end of one connection, without a network.
class ServerEnd : private tls::Sink {
 public:
  explicit ServerEnd(const tls::Context& context)
      : stream(*context.current(), tls::Stream::Role::kServer, pipe_) {}

  void feed(tls::Part cipher) {
    while (!cipher.empty()) {
      const auto bytes = stream.read(cipher, *this).bytes;
      plain.append(bytes.begin(), bytes.end());
      EXPECT_EQ(ERR_peek_error(), 0U);  // OpenSSL's queue is left empty.
    }
  }
  void write(std::string_view text) { stream.write(bytes_of(text), *this); }
  void shutdown() { stream.shutdown(*this); }
  Bytes take_output() { return std::exchange(output_, {}); }

 private:
  void take(tls::Part cipher) override {
    output_.insert(output_.end(), cipher.begin(), cipher.end());
  }

  tls::Pipe pipe_;
  Bytes output_;

 public:
  tls::Stream stream;
  std::string plain;
};

// Carries what both have said, `piece` bytes at a time.
inline void exchange(MemoryClient& client, ServerEnd& server, std::size_t piece = 65536) {
  client.shake();
  for (bool moved = true; moved;) {
    const Bytes up = client.take_output();
    for (std::size_t at = 0; at < up.size(); at += piece) {
      server.feed(tls::Part(up).subspan(at, std::min(piece, up.size() - at)));
    }
    const Bytes down = server.take_output();
    client.feed(down);
    if (SSL_is_init_finished(&client.ssl()) == 0) client.shake();
    moved = !up.empty() || !down.empty();
  }
}

}  // namespace epulse::testing
