#include "server/tls/stream.hpp"

#include <openssl/x509_vfy.h>

#include <utility>

namespace epulse::tls {

Stream::Stream(SSL_CTX& context, Role role, Pipe& pipe)
    : ssl_(SSL_new(&context)),
      pipe_(&pipe),
      is_server_(role == Role::kServer),
      guarded_(is_server_),
      early_(is_server_ && SSL_CTX_get_recv_max_early_data(&context) != 0 &&
             SSL_CTX_get_max_early_data(&context) != 0) {
  if (!ssl_) {  // No memory.
    fail(take_error());
    return;
  }
  BIO_up_ref(pipe.bio());
  SSL_set_bio(ssl_.get(), pipe.bio(), pipe.bio());
  is_server_ ? SSL_set_accept_state(ssl_.get()) : SSL_set_connect_state(ssl_.get());
}

void Stream::start(Sink& sink) {
  if (state_ != State::kHandshake) return;
  clear_errors();
  pipe_->connect({}, sink);
  if (SSL_do_handshake(ssl_.get()) != 1) look_at_failure();
  pipe_->disconnect();
}

Stream::Plain Stream::read(Part& cipher, Sink& sink) {
  if (guarded_ && state_ == State::kHandshake) guard(cipher);
  Plain plain;
  const std::span<std::uint8_t> room = pipe_->plain();
  std::size_t filled = 0;
  pipe_->connect(cipher, sink);
  while ((state_ == State::kHandshake || state_ == State::kOpen) && !pipe_->input().empty() &&
         room.size() - filled >= kMaxRecordBytes) {
    const bool early = early_;
    clear_errors();
    const std::size_t n =
        early ? read_early(room.subspan(filled)) : read_record(room.subspan(filled));
    filled += n;
    plain.early = plain.early || (early && n != 0);
    if (plain.early && !early_) break;  // What follows is not.
  }
  cipher = pipe_->disconnect();
  if (state_ == State::kEnded || state_ == State::kFailed) cipher = {};
  plain.bytes = room.first(filled);
  return plain;
}

void Stream::guard(Part cipher) {
  if (SSL_version(ssl_.get()) == TLS1_2_VERSION) guard_.expect_no_other();
  if (!guard_.admits(cipher)) fail("the client's handshake is too long");
}

std::size_t Stream::read_record(std::span<std::uint8_t> room) {
  std::size_t n = 0;
  const bool done = SSL_read_ex(ssl_.get(), room.data(), room.size(), &n) == 1;
  look_at_handshake();
  if (!done) look_at_failure();
  return n;
}

std::size_t Stream::read_early(std::span<std::uint8_t> room) {
  std::size_t n = 0;
  switch (SSL_read_early_data(ssl_.get(), room.data(), room.size(), &n)) {
    case SSL_READ_EARLY_DATA_SUCCESS:
      guarded_ = false;  // It holds a ticket of ours.
      break;
    case SSL_READ_EARLY_DATA_FINISH:
      early_ = false;
      look_at_handshake();
      break;
    default:
      look_at_failure();
      break;
  }
  return n;
}

void Stream::write(Part plain, Sink& sink) {
  const bool open = state_ == State::kOpen || state_ == State::kEnded;
  // The answer to early data may leave before the client's end of the handshake.
  const bool early = state_ == State::kHandshake && is_server_ &&
                     SSL_get_early_data_status(ssl_.get()) == SSL_EARLY_DATA_ACCEPTED;
  if (plain.empty() || (!open && !early)) return;
  clear_errors();
  pipe_->connect({}, sink);
  std::size_t n = 0;
  const int done = early ? SSL_write_early_data(ssl_.get(), plain.data(), plain.size(), &n)
                         : SSL_write_ex(ssl_.get(), plain.data(), plain.size(), &n);
  pipe_->disconnect();
  if (done != 1) fail(take_error());  // The sink takes everything: there is nothing to wait for.
}

void Stream::shutdown(Sink& sink) {
  if (state_ != State::kOpen && state_ != State::kEnded) return;
  pipe_->connect({}, sink);
  SSL_shutdown(ssl_.get());  // 0: sent, and the peer's is not waited for.
  pipe_->disconnect();
}

void Stream::look_at_handshake() {
  if (state_ != State::kHandshake || SSL_is_init_finished(ssl_.get()) == 0) return;
  state_ = State::kOpen;
  guarded_ = false;
}

void Stream::look_at_failure() {
  switch (SSL_get_error(ssl_.get(), 0)) {
    case SSL_ERROR_WANT_READ:
      return;
    case SSL_ERROR_ZERO_RETURN:
      state_ = State::kEnded;
      return;
    default:
      fail(take_error());
  }
}

void Stream::fail(std::string why) {
  state_ = State::kFailed;
  error_ = std::move(why);
  const long verdict = ssl_ ? SSL_get_verify_result(ssl_.get()) : X509_V_OK;
  if (verdict != X509_V_OK) {
    error_ += ": ";
    error_ += X509_verify_cert_error_string(verdict);
  }
}

}  // namespace epulse::tls
