#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

// What tests of the load generator share: its command line, its result, a server to misbehave.
namespace epulse::testing {

// With the engine that EPULSE_LOAD_ENGINE names, for tests that run with each.
inline std::vector<std::string> load_command(const std::string& url,
                                             const std::vector<std::string>& options) {
  std::vector<std::string> command = {EPULSE_LOAD_PATH, url};
  if (const char* engine = std::getenv("EPULSE_LOAD_ENGINE")) {
    command.insert(command.end(), {"--engine", engine});
  }
  command.insert(command.end(), options.begin(), options.end());
  return command;
}

// The number after "name": in a line of JSON; -1 when there is none.
inline double number(const std::string& json, const std::string& name) {
  const std::string key = "\"" + name + "\":";
  const std::size_t at = json.find(key);
  return at == std::string::npos ? -1 : std::stod(json.substr(at + key.size()));
}

inline std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// A socket that listens on a port of its own.
class Listener {
 public:
  Listener() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (bind(fd_, reinterpret_cast<const sockaddr*>(&address), size) != 0 || listen(fd_, 16) != 0) {
      throw std::runtime_error("cannot listen");
    }
    getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
  }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener() { close(fd_); }

  // Nobody comes any more: who waits in accept_one() gets -1.
  void stop() const { shutdown(fd_, SHUT_RDWR); }
  int accept_one() const { return accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC); }
  std::string url(const std::string& scheme = "ws") const {
    return scheme + "://127.0.0.1:" + std::to_string(port_) + "/";
  }

 private:
  int fd_;
  int port_ = 0;
};

inline void say(int fd, std::span<const std::uint8_t> bytes) {
  send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

}  // namespace epulse::testing
