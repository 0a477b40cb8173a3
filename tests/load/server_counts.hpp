#pragma once

#include <cstdint>
#include <sstream>
#include <string>

#include "tests/server/test_client.hpp"

// What epulse-ws itself has counted.
namespace epulse::testing {

// A counter of the server, over all its workers.
inline std::uint64_t server_count(int port, const std::string& name) {
  std::istringstream stats(TestClient(port).request("GET /stats HTTP/1.1\r\nHost: x\r\n\r\n"));
  const std::string key = " " + name + " ";
  std::uint64_t sum = 0;
  for (std::string line; std::getline(stats, line);) {
    const std::size_t at = line.find(key);
    if (at != std::string::npos) sum += std::stoull(line.substr(at + key.size()));
  }
  return sum;
}

inline std::uint64_t messages_in(int port) {
  return server_count(port, "messages_in");
}

}  // namespace epulse::testing
