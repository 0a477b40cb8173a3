#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "server/tls/openssl.hpp"
#include "tests/agent/temp_dir.hpp"
#include "tests/server/test_client.hpp"

namespace epulse::testing {

// A certificate that vouches for itself, and its key: PEM.
struct Identity {
  std::string certificate;
  std::string key;
};
enum class KeyKind : std::uint8_t { kP256, kRsa2048 };
Identity make_identity(const std::string& name, KeyKind kind = KeyKind::kP256);
std::string lock_key(const std::string& key, const std::string& passphrase);

// The files of a server.
class IdentityFiles {
 public:
  explicit IdentityFiles(const std::string& name = "localhost") { install(make_identity(name)); }

  void install(const Identity& identity) const {
    write_text(certificate(), identity.certificate);
    write_text(key(), identity.key);
  }
  std::string certificate() const { return dir_.file("cert.pem"); }
  std::string key() const { return dir_.file("key.pem"); }
  std::string file(const std::string& name) const { return dir_.file(name); }

 private:
  TempDir dir_;
};

using ContextPtr = std::shared_ptr<SSL_CTX>;
using SessionPtr = std::shared_ptr<SSL_SESSION>;

struct ClientSettings {
  int version_min = TLS1_3_VERSION;
  int version_max = TLS1_3_VERSION;
  std::string protocols{};  // ALPN, each after a byte with its length
  SessionPtr session{};     // to be resumed
};

// A TLS client without a network.
class MemoryClient {
 public:
  explicit MemoryClient(const ClientSettings& settings = {});

  // Goes on with the handshake; whether it is complete.
  bool shake();
  // Sends early data, before shake().
  void write_early(std::string_view text);
  void write(std::string_view text);
  // All that has come; until the stream ends or breaks.
  std::string read();

  void feed(tls::Part cipher);
  Bytes take_output();

  bool ended() const { return ended_; }
  const std::string& error() const { return error_; }
  // The last ticket.
  SessionPtr session() const { return session_; }
  std::string server_name() const;  // of its certificate
  SSL& ssl() { return *ssl_; }

 private:
  void look_at_failure(int result);

  ContextPtr context_;
  tls::SslPtr ssl_;
  BIO* in_ = nullptr;
  BIO* out_ = nullptr;
  SessionPtr session_;
  std::string error_;
  bool ended_ = false;
};

ContextPtr make_client_context(const ClientSettings& settings);

// The common name in the certificate of the peer.
std::string name_of_peer(SSL& ssl);

}  // namespace epulse::testing
