#pragma once

#include <cstddef>
#include <deque>
#include <memory>

#include "server/tls/openssl.hpp"

namespace epulse::load {

using SessionPtr = std::unique_ptr<SSL_SESSION, tls::Deleter<SSL_SESSION_free>>;

// The sessions that a server lets us resume, for the connections of one thread.
class TlsSessions {
 public:
  // Connections of `context` may ask for sessions to be kept.
  static void allow(SSL_CTX& context);

  // Of more than `most`, which is not 0, the oldest are forgotten.
  explicit TlsSessions(std::size_t most) : most_(most) {}

  // Before the handshake of `ssl`: it resumes the latest session, if there is one, and what the
  // server gives in its course is kept.
  void use(SSL& ssl);
  // After it: whether it did resume one.
  bool resumed(SSL& ssl);

 private:
  static int keep(SSL* ssl, SSL_SESSION* session);
  void add(SessionPtr session);
  SessionPtr take();

  std::deque<SessionPtr> sessions_;
  std::size_t most_;
};

}  // namespace epulse::load
