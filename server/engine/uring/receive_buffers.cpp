#include "server/engine/uring/receive_buffers.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "common/unique_fd.hpp"
#include "server/engine/uring/abi.hpp"
#include "server/error.hpp"

namespace epulse::server::uring {
namespace {

Mapping map(std::size_t bytes, int protection) {
  void* base = mmap(nullptr, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED) fail("cannot map {} bytes: {}", bytes, errno_text(errno));
  return {base, bytes};
}

// The same memory twice, one behind the other.
Mapping map_twice(std::size_t bytes) {
  const UniqueFd memory(memfd_create("epulse receive buffers", MFD_CLOEXEC));
  if (!memory || ftruncate(memory.get(), static_cast<off_t>(bytes)) != 0) {
    fail("cannot create memory for receive buffers: {}", errno_text(errno));
  }
  Mapping both = map(2 * bytes, PROT_NONE);
  for (const std::size_t offset : {std::size_t{0}, bytes}) {
    if (mmap(both.base() + offset, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
             memory.get(), 0) == MAP_FAILED) {
      fail("cannot map receive buffers of {} bytes: {}", bytes, errno_text(errno));
    }
  }
  return both;
}

}  // namespace

Mapping::Mapping(Mapping&& other) noexcept
    : base_(std::exchange(other.base_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  std::swap(base_, other.base_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

Mapping::~Mapping() {
  if (base_ != nullptr) munmap(base_, bytes_);
}

ReceiveBuffers::ReceiveBuffers(Ring& ring, const BufferOptions& options) {
  incremental_ =
      options.incremental.count != 0 && offer(ring, options.incremental, abi::kBuffersIncremental);
  if (!incremental_) offer(ring, options.whole, 0);
  used_.resize(shape_.count);
  used_up_.reserve(shape_.count);
  for (unsigned i = 0; i < shape_.count; ++i) used_up_.push_back(static_cast<std::uint16_t>(i));
  give_back();
}

// False when the kernel does not know the flags.
bool ReceiveBuffers::offer(Ring& ring, const BufferShape& shape, std::uint16_t flags) {
  shape_ = shape;
  memory_ = map_twice(shape.count * shape.bytes);
  entries_ = map(shape.count * sizeof(io_uring_buf), PROT_READ | PROT_WRITE);
  ring_ = reinterpret_cast<io_uring_buf_ring*>(entries_.base());
  io_uring_buf_ring_init(ring_);
  io_uring_buf_reg request{};
  request.ring_addr = reinterpret_cast<std::uint64_t>(ring_);
  request.ring_entries = shape.count;
  request.bgid = kGroup;
  request.pad = flags;  // `flags` in newer headers
  const int result = io_uring_register_buf_ring(ring.get(), &request, 0);
  if (result == -EINVAL && flags != 0) return false;
  if (result != 0) {
    fail("no io_uring: no ring of receive buffers: {}; raise ulimit -l", errno_text(-result));
  }
  return true;
}

std::uint8_t* ReceiveBuffers::start(const Completion& done) const {
  return memory_.base() + done.buffer() * shape_.bytes + used_[done.buffer()];
}

std::span<std::uint8_t> ReceiveBuffers::take(const Completion& done) {
  if (done.result < 0) return {};  // It names a buffer, but has not used it.
  const auto bytes = static_cast<std::size_t>(done.result);
  const std::span<std::uint8_t> input(start(done), bytes);
  used_[done.buffer()] += bytes;
  // io_kbuf_inc_commit() in io_uring/kbuf.c: a buffer that is filled bit by bit stays with the
  // kernel until it is full.
  if (!incremental_ || (done.flags & abi::kBufferMore) == 0) {
    used_up_.push_back(static_cast<std::uint16_t>(done.buffer()));
  }
  return input;
}

bool ReceiveBuffers::follows(std::span<const std::uint8_t> bytes, const Completion& next) const {
  const std::uint8_t* end = bytes.data() + bytes.size();
  const std::size_t all = shape_.count * shape_.bytes;
  return start(next) == end || start(next) + all == end;
}

void ReceiveBuffers::give_back() {
  if (used_up_.empty()) return;
  for (std::size_t i = 0; i < used_up_.size(); ++i) {
    const std::uint16_t buffer = used_up_[i];
    used_[buffer] = 0;
    io_uring_buf_ring_add(ring_, memory_.base() + buffer * shape_.bytes,
                          static_cast<unsigned>(shape_.bytes), buffer,
                          io_uring_buf_ring_mask(shape_.count), static_cast<int>(i));
  }
  io_uring_buf_ring_advance(ring_, static_cast<int>(used_up_.size()));
  used_up_.clear();
}

}  // namespace epulse::server::uring
