#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "server/tls/hello_guard.hpp"
#include "server/tls/openssl.hpp"
#include "server/tls/pipe.hpp"

namespace epulse::tls {

constexpr std::size_t kMaxRecordBytes = SSL3_RT_MAX_PLAIN_LENGTH;  // of plaintext

// One TLS connection, either role: bytes in, bytes out. Owns no buffer while nothing is under way.
class Stream {
 public:
  enum class Role : std::uint8_t { kServer, kClient };
  enum class State : std::uint8_t {
    kHandshake,
    kOpen,
    kEnded,   // the peer said that no more comes (close_notify)
    kFailed,  // error() says why; an alert for the peer has been written where there is one
  };

  struct Plain {
    std::span<std::uint8_t> bytes;  // may be changed; gone with the next call on the pipe
    bool early = false;             // came before the end of the handshake: may be a replay
  };

  // `pipe` outlives the stream.
  Stream(SSL_CTX& context, Role role, Pipe& pipe);

  // The client speaks first.
  void start(Sink& sink);

  // Decrypts from the front of `cipher`, which it shortens: call it until that is empty. Handshake
  // and alerts are answered by the way.
  Plain read(Part& cipher, Sink& sink);

  // Encrypts into records of up to kMaxRecordBytes; one for each call if `plain` is that short.
  // Nothing before there are keys to do it with.
  void write(Part plain, Sink& sink);

  // close_notify; nothing may be written after it.
  void shutdown(Sink& sink);

  State state() const { return state_; }
  const std::string& error() const { return error_; }
  SSL& ssl() { return *ssl_; }

 private:
  void guard(Part cipher);
  std::size_t read_record(std::span<std::uint8_t> room);
  std::size_t read_early(std::span<std::uint8_t> room);
  void look_at_handshake();
  void look_at_failure();
  void fail(std::string why);

  SslPtr ssl_;
  Pipe* pipe_;
  HelloGuard guard_;
  std::string error_;
  State state_ = State::kHandshake;
  bool is_server_;
  bool guarded_;  // nothing of the client is proved yet
  bool early_;    // early data may come
};

}  // namespace epulse::tls
