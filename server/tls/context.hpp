#pragma once

#include <memory>
#include <mutex>

#include "server/tls/openssl.hpp"
#include "server/tls/options.hpp"
#include "server/tls/ticket_keys.hpp"

namespace epulse::tls {

// What the server is to its TLS clients: certificate, versions, tickets; one for all workers.
class Context {
 public:
  // Throws server::Error.
  explicit Context(Options options);
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  // Reads the files again, for connections to come; those that live keep what they have. When it
  // throws server::Error, all is as it was.
  void reload();

  // For a new connection. From any thread.
  std::shared_ptr<SSL_CTX> current() const {
    const std::lock_guard lock(mutex_);
    return current_;
  }
  const Options& options() const { return options_; }

 private:
  static int ticket_key(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                        EVP_MAC_CTX* mac, int seal);

  Options options_;
  TicketKeys ticket_keys_;
  mutable std::mutex mutex_;  // of the pointer
  std::shared_ptr<SSL_CTX> current_;
};

}  // namespace epulse::tls
