#pragma once

#include <cstdint>
#include <string>

#include "server/ws/close_code.hpp"

namespace epulse::server {

// What there is to say of a connection that has asked for something, when it has ended.
struct AccessRecord {
  std::string peer;    // "127.0.0.1:51234"; empty when it had gone before it could be asked
  std::string method;  // as the request has them
  std::string target;
  int status = 0;                 // of the answer
  std::uint64_t duration_ns = 0;  // from accept to end
  std::uint64_t messages_in = 0;
  std::uint64_t messages_out = 0;
  std::uint64_t bytes_in = 0;  // of messages, inflated
  std::uint64_t bytes_out = 0;
  ws::CloseCode close_code = ws::CloseCode::kAbnormal;
};

}  // namespace epulse::server
