#include "server/tls/pipe.hpp"

#include <algorithm>
#include <cstring>
#include <new>

namespace epulse::tls {
namespace {

// What a 64 KiB read holds, and a record that was begun before.
constexpr std::size_t kPlainBytes = std::size_t{64 + 16} * 1024;

}  // namespace

Pipe::Pipe() : plain_(kPlainBytes), bio_(BIO_new(method())) {
  if (!bio_) throw std::bad_alloc();
  BIO_set_data(bio_.get(), this);
  BIO_set_init(bio_.get(), 1);
}

const BIO_METHOD* Pipe::method() {
  static const BIO_METHOD* const shared = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "epulse pipe");
    if (made == nullptr) throw std::bad_alloc();
    BIO_meth_set_read_ex(made, read);
    BIO_meth_set_write_ex(made, write);
    BIO_meth_set_ctrl(made, control);
    return made;
  }();
  return shared;
}

int Pipe::read(BIO* bio, char* out, std::size_t size, std::size_t* done) {
  Part& input = static_cast<Pipe*>(BIO_get_data(bio))->input_;
  BIO_clear_retry_flags(bio);
  *done = std::min(size, input.size());
  if (*done == 0) {
    BIO_set_retry_read(bio);
    return -1;
  }
  std::memcpy(out, input.data(), *done);
  input = input.subspan(*done);
  return 1;
}

int Pipe::write(BIO* bio, const char* bytes, std::size_t size, std::size_t* done) {
  static_cast<Pipe*>(BIO_get_data(bio))
      ->sink_->take({reinterpret_cast<const std::uint8_t*>(bytes), size});
  *done = size;
  return 1;
}

long Pipe::control(BIO* /*bio*/, int command, long /*number*/, void* /*pointer*/) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

}  // namespace epulse::tls
