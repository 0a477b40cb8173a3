#include "tools/load/tls_sessions.hpp"

#include <utility>

#include "tools/load/error.hpp"

namespace epulse::load {

void TlsSessions::allow(SSL_CTX& context) {
  SSL_CTX_set_session_cache_mode(&context,
                                 SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
  SSL_CTX_sess_set_new_cb(&context, keep);
}

void TlsSessions::use(SSL& ssl) {
  SSL_set_app_data(&ssl, this);
  const SessionPtr session = take();
  if (session && SSL_set_session(&ssl, session.get()) != 1) {
    fail("cannot resume a TLS session: {}; go on without --tls-resume", tls::take_error());
  }
}

bool TlsSessions::resumed(SSL& ssl) {
  if (SSL_session_reused(&ssl) != 1) return false;
  // Before TLS 1.3 it may be resumed again, and OpenSSL does not tell of a ticket that renews it.
  if (SSL_version(&ssl) < TLS1_3_VERSION) keep(&ssl, SSL_get0_session(&ssl));
  return true;
}

// A copy: the connection's own cannot be resumed once that has ended without a close_notify
// (SSL_SESSION_is_resumable(3)), as ours do.
int TlsSessions::keep(SSL* ssl, SSL_SESSION* session) {
  auto* self = static_cast<TlsSessions*>(SSL_get_app_data(ssl));
  if (SessionPtr copy{SSL_SESSION_dup(session)}) self->add(std::move(copy));
  return 0;  // No reference is ours.
}

void TlsSessions::add(SessionPtr session) {
  if (sessions_.size() == most_) sessions_.pop_front();
  sessions_.push_back(std::move(session));
}

// A ticket is used once (RFC 8446, C.4); the handshake brings the next.
SessionPtr TlsSessions::take() {
  if (sessions_.empty()) return nullptr;
  SessionPtr session = std::move(sessions_.back());
  sessions_.pop_back();
  return session;
}

}  // namespace epulse::load
