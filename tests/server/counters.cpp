#include "tests/server/counters.hpp"

#include <sstream>

#include "tests/server/test_client.hpp"

namespace epulse::testing {

std::string get(int port, const std::string& path) {
  TestClient client(port);
  return client.request("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n");
}

std::uint64_t stat(int port, const std::string& name) {
  std::istringstream text(get(port, "/stats"));
  std::uint64_t sum = 0;
  for (std::string line; std::getline(text, line);) {
    std::istringstream words(line);
    std::string word;
    std::string index;
    std::string key;
    std::uint64_t value = 0;
    if (words >> word >> index >> key >> value && word == "worker" && key == name) sum += value;
  }
  return sum;
}

std::uint64_t stat_of_worker(int port, std::size_t worker, const std::string& name) {
  const std::string text = get(port, "/stats");
  const std::string key = "worker " + std::to_string(worker) + " " + name + " ";
  const std::size_t at = text.find(key);
  return at == std::string::npos ? 0 : std::stoull(text.substr(at + key.size()));
}

}  // namespace epulse::testing
