#pragma once

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace epulse::tls {

using Part = std::span<const std::uint8_t>;

template <auto Free>
struct Deleter {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};

using SslPtr = std::unique_ptr<SSL, Deleter<SSL_free>>;
using BioPtr = std::unique_ptr<BIO, Deleter<BIO_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;

// Why the last call of this thread failed: the root of OpenSSL's queue of errors, which is emptied.
std::string take_error();

// SSL_get_error() tells the truth only if no call before has left something in the queue. Looking
// costs a tenth of emptying it.
inline void clear_errors() {
  if (ERR_peek_error() != 0) ERR_clear_error();
}

}  // namespace epulse::tls
