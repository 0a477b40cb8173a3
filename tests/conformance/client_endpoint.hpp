#pragma once

#include <deque>
#include <string>

#include "tests/conformance/script.hpp"

// The client role of server/ws, without a socket: what it would answer to what it hears.
namespace epulse::conformance {

class ClientEndpoint : public Endpoint {
 public:
  explicit ClientEndpoint(std::uint32_t max_message_bytes = std::uint32_t{16} << 20U)
      : parser_(Role::kClient, max_message_bytes) {}

  Role role() const override { return Role::kClient; }
  void send(Bytes bytes) override;
  void settle() override {}
  std::optional<Frame> receive() override;
  bool is_quiet() override { return answers_.empty(); }
  void expect_clean_end() override;

 private:
  void answer(const ws::Event& event);

  ws::Parser parser_;
  std::deque<Frame> answers_;
  bool closed_ = false;
};

}  // namespace epulse::conformance
