#include "tests/server/tls_testing.hpp"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <array>
#include <stdexcept>

namespace epulse::testing {
namespace {

using CertificatePtr = std::unique_ptr<X509, tls::Deleter<X509_free>>;

void require(bool done, const char* what) {
  if (!done) throw std::runtime_error(std::string(what) + ": " + tls::take_error());
}

std::string text_of(BIO& bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(&bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

std::string pem_of(EVP_PKEY& key) {
  const tls::BioPtr bio(BIO_new(BIO_s_mem()));
  require(PEM_write_bio_PrivateKey(bio.get(), &key, nullptr, nullptr, 0, nullptr, nullptr) == 1,
          "write a key");
  return text_of(*bio);
}

std::string pem_of(X509& certificate) {
  const tls::BioPtr bio(BIO_new(BIO_s_mem()));
  require(PEM_write_bio_X509(bio.get(), &certificate) == 1, "write a certificate");
  return text_of(*bio);
}

void add_alternative_name(X509& certificate, const std::string& name) {
  const std::string value = "DNS:" + name + ",IP:127.0.0.1";
  const std::unique_ptr<X509_EXTENSION, tls::Deleter<X509_EXTENSION_free>> extension(
      X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, value.c_str()));
  require(extension && X509_add_ext(&certificate, extension.get(), -1) == 1, "alternative name");
}

int keep_session(SSL* ssl, SSL_SESSION* session) {
  *static_cast<SessionPtr*>(SSL_get_app_data(ssl)) = SessionPtr(session, SSL_SESSION_free);
  return 1;  // The reference is ours.
}

}  // namespace

Identity make_identity(const std::string& name, KeyKind kind) {
  const tls::KeyPtr key(kind == KeyKind::kP256 ? EVP_EC_gen("P-256") : EVP_RSA_gen(2048));
  require(key != nullptr, "make a key");
  const CertificatePtr certificate(X509_new());
  X509_set_version(certificate.get(), X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -60);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
  X509_set_pubkey(certificate.get(), key.get());
  X509_NAME* subject = X509_get_subject_name(certificate.get());
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  X509_set_issuer_name(certificate.get(), subject);
  add_alternative_name(*certificate, name);
  require(X509_sign(certificate.get(), key.get(), EVP_sha256()) > 0, "sign");
  return {pem_of(*certificate), pem_of(*key)};
}

std::string lock_key(const std::string& key, const std::string& passphrase) {
  const tls::BioPtr in(BIO_new_mem_buf(key.data(), static_cast<int>(key.size())));
  const tls::KeyPtr parsed(PEM_read_bio_PrivateKey(in.get(), nullptr, nullptr, nullptr));
  const tls::BioPtr out(BIO_new(BIO_s_mem()));
  require(PEM_write_bio_PrivateKey(out.get(), parsed.get(), EVP_aes_128_cbc(),
                                   reinterpret_cast<const unsigned char*>(passphrase.data()),
                                   static_cast<int>(passphrase.size()), nullptr, nullptr) == 1,
          "lock a key");
  return text_of(*out);
}

ContextPtr make_client_context(const ClientSettings& settings) {
  ContextPtr context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  require(context != nullptr, "make a context");
  SSL_CTX_set_min_proto_version(context.get(), settings.version_min);
  SSL_CTX_set_max_proto_version(context.get(), settings.version_max);
  if (!settings.protocols.empty()) {
    SSL_CTX_set_alpn_protos(context.get(),
                            reinterpret_cast<const unsigned char*>(settings.protocols.data()),
                            static_cast<unsigned>(settings.protocols.size()));
  }
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context.get(), keep_session);
  return context;
}

std::string name_of_peer(SSL& ssl) {
  const CertificatePtr certificate(SSL_get1_peer_certificate(&ssl));
  if (!certificate) return {};
  std::array<char, 256> name{};
  X509_NAME_get_text_by_NID(X509_get_subject_name(certificate.get()), NID_commonName, name.data(),
                            name.size());
  return name.data();
}

MemoryClient::MemoryClient(const ClientSettings& settings)
    : context_(make_client_context(settings)),
      ssl_(SSL_new(context_.get())),
      in_(BIO_new(BIO_s_mem())),
      out_(BIO_new(BIO_s_mem())) {
  BIO_set_mem_eof_return(in_, -1);
  SSL_set_bio(ssl_.get(), in_, out_);
  SSL_set_connect_state(ssl_.get());
  SSL_set_app_data(ssl_.get(), &session_);
  if (settings.session) SSL_set_session(ssl_.get(), settings.session.get());
}

bool MemoryClient::shake() {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_.get());
  if (result != 1) look_at_failure(result);
  return result == 1;
}

void MemoryClient::write_early(std::string_view text) {
  std::size_t n = 0;
  require(SSL_write_early_data(ssl_.get(), text.data(), text.size(), &n) == 1, "early data");
}

void MemoryClient::write(std::string_view text) {
  std::size_t n = 0;
  require(SSL_write_ex(ssl_.get(), text.data(), text.size(), &n) == 1, "write");
}

std::string MemoryClient::read() {
  std::string text;
  std::array<char, 16384> buffer{};
  ERR_clear_error();
  int n = 0;
  while ((n = SSL_read(ssl_.get(), buffer.data(), static_cast<int>(buffer.size()))) > 0) {
    text.append(buffer.data(), static_cast<std::size_t>(n));
  }
  look_at_failure(n);
  return text;
}

void MemoryClient::look_at_failure(int result) {
  const int kind = SSL_get_error(ssl_.get(), result);
  ended_ = ended_ || kind == SSL_ERROR_ZERO_RETURN;
  if (kind == SSL_ERROR_SSL) error_ = tls::take_error();
}

void MemoryClient::feed(tls::Part cipher) {
  BIO_write(in_, cipher.data(), static_cast<int>(cipher.size()));
}

Bytes MemoryClient::take_output() {
  Bytes output(static_cast<std::size_t>(BIO_pending(out_)));
  BIO_read(out_, output.data(), static_cast<int>(output.size()));
  return output;
}

std::string MemoryClient::server_name() const {
  return name_of_peer(*ssl_);
}

}  // namespace epulse::testing
