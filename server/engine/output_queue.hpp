#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "server/engine/engine.hpp"

namespace epulse::server {

// What a connection has still to send: copies, and references to buffers shared with other
// connections.
class OutputQueue {
 public:
  void append(Part bytes);
  void append_shared(SharedBytes bytes);

  bool empty() const { return bytes_ == 0; }
  std::size_t bytes() const { return bytes_; }

  // Fills `out` with the front of the queue; how many entries were filled.
  std::size_t gather(std::span<iovec> out) const;

  // The memory of the first `parts` of them, which then stays as it is for as long as whoever has
  // it.
  void share(std::size_t parts, std::vector<SharedBytes>& out);

  // Drops what was sent from the front.
  void consume(std::size_t bytes);

  // Chunks that there is room for.
  std::size_t table() const { return chunks_.capacity(); }

  // Empty again; keeps its chunk table, and memory for a small copy, for the next user.
  void clear();

 private:
  struct Chunk {
    SharedBytes shared;  // or else
    Bytes own;
    const Bytes& bytes() const { return shared ? *shared : own; }
  };

  void let_go(Chunk& chunk);

  std::vector<Chunk> chunks_;
  Bytes spare_;                  // empty
  std::size_t head_ = 0;         // first chunk not wholly sent
  std::size_t head_offset_ = 0;  // bytes of it that were
  std::size_t bytes_ = 0;
};

// Queues of connections that had something to send, empty, for those that will have.
class OutputPool {
 public:
  std::unique_ptr<OutputQueue> take();
  void give_back(std::unique_ptr<OutputQueue> queue);

 private:
  std::vector<std::unique_ptr<OutputQueue>> spare_;
};

}  // namespace epulse::server
