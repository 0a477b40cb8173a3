#pragma once

#include <cstddef>

namespace epulse::tls {

// Has OpenSSL take the buffers of records from a few that each thread keeps. An idle connection
// gives both of its own back (SSL_MODE_RELEASE_BUFFERS), so that each message takes and frees two;
// they are too large for the caches of malloc(), and to take and free them there is a twentieth of
// what a short message costs in user space.
//
// OpenSSL's allocator is the process's: for programs, not for libraries, and before anything else
// of OpenSSL. False when that has allocated already (CRYPTO_set_mem_functions(3)), or where a
// sanitizer watches memory: then nothing is changed, and all works as well.
bool keep_record_buffers();

// Those that this thread has at hand.
std::size_t kept_record_buffers();

}  // namespace epulse::tls
