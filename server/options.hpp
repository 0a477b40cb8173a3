#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "server/echo_handler.hpp"
#include "server/server.hpp"

namespace epulse::server {

struct Options {
  ServerOptions server;
  std::string token_key_file;  // empty: no tokens are asked for
  std::string access_log;      // empty: none
  std::string control_socket;  // empty: none
  bool accept_steering = false;
  std::chrono::milliseconds linger{1000};  // after a hot restart
  EchoHandler::Options echo;
};

// Either options, or the status to exit with: help or version was printed, or the usage is wrong
// and one line on stderr says so.
struct ParsedOptions {
  std::optional<Options> options;
  int exit_status = 0;
};
ParsedOptions parse_options(int argc, char** argv);

// The key that access tokens are signed with. Throws Error.
std::string read_token_key(const std::string& file);

}  // namespace epulse::server
