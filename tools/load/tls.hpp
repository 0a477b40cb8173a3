#pragma once

#include <memory>
#include <string>

#include "server/tls/openssl.hpp"
#include "tools/load/options.hpp"
#include "tools/load/target.hpp"

namespace epulse::load {

using TlsContext = std::shared_ptr<SSL_CTX>;

// What the connections to a wss:// address share; nothing for ws://. Throws Error.
TlsContext make_tls_context(const Options& options, const Target& target);

// Whom the server must prove to be.
void expect_server(SSL& ssl, const Options& options, const Target& target);

}  // namespace epulse::load
