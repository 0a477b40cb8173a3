#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "server/engine/engine.hpp"

namespace epulse::server::uring {

// Sends whose memory the kernel reads until it notifies: long after they have completed, where the
// peer is slow, and perhaps after their connection was closed. Each keeps its memory alive.
class ZeroCopySends {
 public:
  struct Send {
    ConnId conn;
    std::size_t bytes = 0;            // offered; once it has completed, that the kernel took
    std::vector<SharedBytes> memory;  // in which they are
    bool alone = false;               // when it began, the kernel had no other of its connection
  };

  ZeroCopySends() = default;
  ZeroCopySends(const ZeroCopySends&) = delete;
  ZeroCopySends& operator=(const ZeroCopySends&) = delete;
  // Memory that is still read is never freed: what is written there next would reach the peer.
  ~ZeroCopySends();

  // Its number, which is its own until end(). Its memory is for the caller to add.
  std::uint32_t begin(ConnId conn, std::size_t bytes);
  Send& operator[](std::uint32_t number) { return sends_[number]; }
  void completed(std::uint32_t number, std::size_t taken);
  void end(std::uint32_t number);

  std::size_t bytes() const { return bytes_; }

 private:
  std::vector<Send> sends_;  // by number
  std::vector<std::uint32_t> free_;
  std::size_t bytes_ = 0;
};

}  // namespace epulse::server::uring
