#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "server/tls/openssl.hpp"

namespace epulse::tls {

// Where ciphertext goes.
class Sink {
 public:
  virtual ~Sink() = default;
  // Takes the bytes over before it returns.
  virtual void take(Part cipher) = 0;
};

// What OpenSSL reads from and writes to, for all streams of one thread: the ciphertext at hand, and
// the sink of the stream that is at work. So no connection owns a buffer for either.
class Pipe {
 public:
  Pipe();
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  // Around each call into OpenSSL.
  void connect(Part input, Sink& sink) {
    input_ = input;
    sink_ = &sink;
  }
  // What was not read.
  Part disconnect() {
    sink_ = nullptr;
    return input_;
  }

  Part input() const { return input_; }
  // Room for plaintext.
  std::span<std::uint8_t> plain() { return plain_; }
  BIO* bio() const { return bio_.get(); }

 private:
  static const BIO_METHOD* method();
  static int read(BIO* bio, char* out, std::size_t size, std::size_t* done);
  static int write(BIO* bio, const char* bytes, std::size_t size, std::size_t* done);
  static long control(BIO* bio, int command, long number, void* pointer);

  Part input_;
  Sink* sink_ = nullptr;
  std::vector<std::uint8_t> plain_;
  BioPtr bio_;
};

}  // namespace epulse::tls
