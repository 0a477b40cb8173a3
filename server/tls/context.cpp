#include "server/tls/context.hpp"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <string_view>
#include <utility>

#include "server/error.hpp"

namespace epulse::tls {
namespace {

using server::errno_text;
using server::fail;

// A request head, and a little more.
constexpr std::uint32_t kMaxEarlyBytes = std::uint32_t{16} * 1024;

// AES-128 first: as safe here, and a fifth cheaper than AES-256. Clients that put ChaCha20 first,
// for want of AES instructions, get it (SSL_OP_PRIORITIZE_CHACHA).
constexpr const char* kCiphers13 =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
constexpr const char* kCiphers12 = "ECDHE+AES128+AESGCM:ECDHE+AES256+AESGCM:ECDHE+CHACHA20";
// Not the finite-field groups of OpenSSL's default list: a client that asks for ffdhe8192 costs a
// hundred times what it pays.
constexpr const char* kGroups = "X25519:P-256:P-384";

std::uint64_t clock_s() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<std::uint64_t>(now.tv_sec);
}

void check(bool done, std::string_view what) {
  if (!done) fail("cannot set up TLS: {}: {}; is OpenSSL 3.0 installed whole?", what, take_error());
}

// RFC 7301: HTTP/1.1 is what a WebSocket begins with. Who offers only others is refused; who offers
// none need not be.
int select_protocol(SSL* /*ssl*/, const unsigned char** chosen, unsigned char* size,
                    const unsigned char* offered, unsigned int offered_size, void* /*argument*/) {
  constexpr std::string_view kHttp11 = "http/1.1";
  std::string_view list(reinterpret_cast<const char*>(offered), offered_size);
  while (!list.empty()) {
    const auto length = static_cast<unsigned char>(list.front());
    const std::string_view name = list.substr(1, length);
    if (name == kHttp11) {
      *chosen = reinterpret_cast<const unsigned char*>(name.data());
      *size = length;
      return SSL_TLSEXT_ERR_OK;
    }
    list.remove_prefix(std::min<std::size_t>(list.size(), std::size_t{1} + length));
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

// Instead of OpenSSL's question on the terminal.
int no_passphrase(char* /*buffer*/, int /*size*/, int /*writing*/, void* asked) {
  if (asked != nullptr) *static_cast<bool*>(asked) = true;
  return -1;
}

void set_protocol(SSL_CTX& context, const Options& options) {
  check(SSL_CTX_set_min_proto_version(&context,
                                      options.allow_tls12 ? TLS1_2_VERSION : TLS1_3_VERSION) == 1,
        "the versions");
  check(SSL_CTX_set_ciphersuites(&context, kCiphers13) == 1, "the ciphers");
  check(SSL_CTX_set_cipher_list(&context, kCiphers12) == 1, "the ciphers of TLS 1.2");
  check(SSL_CTX_set1_groups_list(&context, kGroups) == 1, "the groups");
  // kTLS is left out: OpenSSL switches it on only for sockets of its own, and ours are the
  // engine's.
  SSL_CTX_set_options(&context, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                    SSL_OP_PRIORITIZE_CHACHA);
  // An idle connection gives its record buffers back, 34 KB.
  SSL_CTX_set_mode(&context, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_alpn_select_cb(&context, select_protocol, nullptr);
}

void set_early_data(SSL_CTX& context, const Options& options) {
  if (options.early_paths.empty()) return;
  check(SSL_CTX_set_max_early_data(&context, kMaxEarlyBytes) == 1 &&
            SSL_CTX_set_recv_max_early_data(&context, kMaxEarlyBytes) == 1,
        "early data");
  // Its record of the tickets used would be one per process at best, and lost by a reload. Replays
  // are harmless by the choice of paths; OpenSSL still wants a ticket not older than it claims.
  SSL_CTX_set_options(&context, SSL_OP_NO_ANTI_REPLAY);
}

void expect_readable(std::string_view what, const std::string& file, std::string_view option) {
  if (access(file.c_str(), R_OK) == 0) return;
  fail("cannot read the {} '{}': {}; give a PEM file that this user may read with {}", what, file,
       errno_text(errno), option);
}

void use_certificate(SSL_CTX& context, const std::string& file) {
  expect_readable("certificate", file, "--tls-cert");
  SSL_CTX_set_default_passwd_cb(&context, no_passphrase);
  if (SSL_CTX_use_certificate_chain_file(&context, file.c_str()) == 1) return;
  fail(
      "cannot use the certificate '{}': {}; --tls-cert wants PEM, the server's own certificate "
      "first, then those that vouch for it",
      file, take_error());
}

KeyPtr read_key(const std::string& file) {
  expect_readable("private key", file, "--tls-key");
  const BioPtr bio(BIO_new_file(file.c_str(), "r"));
  bool asked = false;
  KeyPtr key(bio ? PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, &asked) : nullptr);
  const std::string why = key ? "" : take_error();
  if (asked) {
    fail(
        "cannot use the private key '{}': it is locked with a passphrase; unlock it with "
        "'openssl pkey -in FILE -out UNLOCKED' and keep that readable for the server alone",
        file);
  }
  if (!key) fail("cannot use the private key '{}': {}; --tls-key wants a PEM file", file, why);
  return key;
}

void use_key(SSL_CTX& context, const Options& options) {
  const KeyPtr key = read_key(options.key_file);
  if (SSL_CTX_use_PrivateKey(&context, key.get()) == 1 &&
      SSL_CTX_check_private_key(&context) == 1) {
    return;
  }
  fail(
      "cannot use the private key '{}' with the certificate '{}': {}; give the two that were "
      "issued together with --tls-key and --tls-cert",
      options.key_file, options.certificate_file, take_error());
}

}  // namespace

Context::Context(Options options) : options_(std::move(options)) {
  reload();
}

void Context::reload() {
  const std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  check(context != nullptr, "a context");
  set_protocol(*context, options_);
  set_early_data(*context, options_);
  // Tickets only: no memory per client, and any worker can open them. One for each connection:
  // each that a client comes back with buys it a new one, and a second would cost every handshake
  // another 250 bytes and their encryption.
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context.get(), 1);
  SSL_CTX_set_timeout(context.get(), TicketKeys::kPeriodS);
  SSL_CTX_set_app_data(context.get(), this);
  SSL_CTX_set_tlsext_ticket_key_evp_cb(context.get(), ticket_key);
  use_certificate(*context, options_.certificate_file);
  use_key(*context, options_);
  const std::lock_guard lock(mutex_);
  current_ = context;
}

// SSL_CTX_set_tlsext_ticket_key_evp_cb(3): -1 error, 0 not ours, 1 done, 2 done and renew.
int Context::ticket_key(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                        EVP_MAC_CTX* mac, int seal) {
  auto& self = *static_cast<Context*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
  const std::uint64_t now = clock_s();
  std::optional<TicketKey> key = seal != 0
                                     ? self.ticket_keys_.sealing(now)
                                     : self.ticket_keys_.opening({name, kTicketNameBytes}, now);
  if (!key) return seal != 0 ? -1 : 0;
  if (seal != 0) {
    std::copy(key->name.begin(), key->name.end(), name);
    if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1) return -1;
  }
  std::string digest = "SHA256";
  const std::array<OSSL_PARAM, 3> parameters = {
      OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->mac.data(), key->mac.size()),
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest.data(), 0),
      OSSL_PARAM_construct_end()};
  if (EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), nullptr, key->cipher.data(), iv, seal) != 1 ||
      EVP_MAC_CTX_set_params(mac, parameters.data()) != 1) {
    return -1;
  }
  return seal != 0 ? 1 : 2;  // A ticket is used once (RFC 8446, C.4): the next one comes with it.
}

}  // namespace epulse::tls
