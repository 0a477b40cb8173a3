#pragma once

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <string_view>

#include "server/engine/clock.hpp"
#include "server/engine/engine.hpp"
#include "server/ws/client_handshake.hpp"
#include "tests/server/test_client.hpp"

namespace epulse::server {

// An engine whose turns and sockets a test makes up.
class Turn final : public Engine {
 public:
  void run() override {}
  void stop() override {}
  void stop_accepting() override {}
  std::uint64_t now_ns() const override { return now; }
  void send(ConnId conn, std::span<const Part> parts) override {
    for (const Part part : parts) sent[conn.slot].append(part.begin(), part.end());
  }
  void send_shared(ConnId conn, SharedBytes bytes) override {
    ++shared_sends;
    sent[conn.slot].append(bytes->begin(), bytes->end());
  }
  std::size_t queued_bytes(ConnId conn) const override {
    const auto found = queued.find(conn.slot);
    return found == queued.end() ? 0 : found->second;
  }
  bool blocked(ConnId conn) const override { return full.contains(conn.slot); }
  void deliver(ConnId conn, std::span<std::uint8_t> input) override {
    handler->on_data(conn, input);
  }
  void pause_reading(ConnId conn) override { paused.insert(conn.slot); }
  void resume_reading(ConnId conn) override { paused.erase(conn.slot); }
  std::size_t unacknowledged_bytes(ConnId conn) override { return queued_bytes(conn); }
  Address peer_address(ConnId /*conn*/) override { return {}; }
  void finish(ConnId conn) override { finished.insert(conn.slot); }
  void abort(ConnId conn) override { aborted.insert(conn.slot); }

  Handler* handler = nullptr;  // for deliver()
  std::uint64_t now = clock_ns();
  std::map<std::uint32_t, std::string> sent;
  std::map<std::uint32_t, std::size_t> queued;
  int shared_sends = 0;
  std::set<std::uint32_t> full;  // sockets that take no more
  std::set<std::uint32_t> aborted;
  std::set<std::uint32_t> finished;
  std::set<std::uint32_t> paused;
};

// The request of a client that comes for `path`.
inline testing::Bytes request_for(std::string_view path, const ws::UpgradeOffer& offer = {}) {
  return testing::bytes_of(ws::upgrade_request("x", path, "dGhlIHNhbXBsZSBub25jZQ==", offer));
}

}  // namespace epulse::server
