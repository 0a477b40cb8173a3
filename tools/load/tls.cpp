#include "tools/load/tls.hpp"

#include <openssl/x509v3.h>

#include <array>

#include "tools/load/error.hpp"
#include "tools/load/tls_sessions.hpp"

namespace epulse::load {
namespace {

void check(bool done) {
  if (!done) fail("cannot set up TLS: {}; is OpenSSL 3.0 installed whole?", tls::take_error());
}

void trust(SSL_CTX& context, const std::string& ca_file) {
  if (ca_file.empty()) return check(SSL_CTX_set_default_verify_paths(&context) == 1);
  if (SSL_CTX_load_verify_file(&context, ca_file.c_str()) == 1) return;
  fail("cannot read certificates to trust from '{}': {}; --tls-ca wants a PEM file", ca_file,
       tls::take_error());
}

}  // namespace

TlsContext make_tls_context(const Options& options, const Target& target) {
  if (!target.tls && options.tls_resume) {
    fail("cannot resume TLS sessions on '{}': it has no TLS; --tls-resume wants wss://",
         options.url);
  }
  if (!target.tls) return nullptr;
  TlsContext context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  check(context != nullptr);
  check(SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION) == 1);
  constexpr std::array<unsigned char, 9> kHttp11 = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
  check(SSL_CTX_set_alpn_protos(context.get(), kHttp11.data(), kHttp11.size()) == 0);
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  if (options.tls_resume) TlsSessions::allow(*context);
  if (options.tls_insecure) return context;
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  trust(*context, options.tls_ca_file);
  return context;
}

void expect_server(SSL& ssl, const Options& options, const Target& target) {
  X509_VERIFY_PARAM* expected = SSL_get0_param(&ssl);
  // Not a name but an address: it is none to be told the server either (RFC 6066, 3).
  if (X509_VERIFY_PARAM_set1_ip_asc(expected, target.host.c_str()) == 1) return;
  tls::clear_errors();
  // What SSL_set_tlsext_host_name() stands for, without its cast.
  check(SSL_ctrl(&ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                 const_cast<char*>(target.host.c_str())) == 1);
  if (!options.tls_insecure) check(SSL_set1_host(&ssl, target.host.c_str()) == 1);
}

}  // namespace epulse::load
