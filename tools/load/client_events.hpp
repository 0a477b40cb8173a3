#pragma once

#include <cstdint>
#include <span>

#include "server/engine/engine.hpp"
#include "tools/load/client.hpp"

namespace epulse::load {

// Passes on what the engine tells of a connection to the client that it belongs to.
class ClientEvents final : public server::Handler {
 public:
  explicit ClientEvents(ClientContext& context) : context_(context) {}

  void on_accept(server::ConnId /*conn*/) override {}  // Nobody connects to us.
  void on_data(server::ConnId conn, std::span<std::uint8_t> input) override {
    owner(conn).on_data(input, context_);
  }
  void on_drained(server::ConnId conn) override { owner(conn).on_drained(context_); }
  void on_closed(server::ConnId conn, server::CloseReason reason) override {
    owner(conn).on_closed(reason, context_);
  }
  void on_wake() override {}
  void on_tick() override {}

 private:
  Client& owner(server::ConnId conn) { return *context_.owners[conn.slot]; }

  ClientContext& context_;
};

}  // namespace epulse::load
