#pragma once

namespace epulse::tls {

// Has OpenSSL take the buffers of records from a few that each thread keeps. An idle connection
// gives both of its own back (SSL_MODE_RELEASE_BUFFERS), so that each message takes and frees two;
// they are too large for the caches of malloc(), where that costs a short message a twelfth of what
// TLS does for it.
//
// OpenSSL's allocator is the process's: for programs, not for libraries, and before anything else
// of OpenSSL. False when that has allocated already, and nothing is changed
// (CRYPTO_set_mem_functions(3)).
bool keep_record_buffers();

}  // namespace epulse::tls
