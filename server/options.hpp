#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "server/session/session.hpp"
#include "server/tls/context.hpp"

namespace epulse::server {

struct Options {
  std::string listen = "127.0.0.1:9001";
  std::size_t workers = 0;  // 0: one per allowed CPU
  bool pin = true;
  std::size_t epoll_batch = 512;
  SessionOptions session;
  std::optional<tls::Options> tls;
};

// Either options, or the status to exit with: help or version was printed, or the usage is wrong
// and one line on stderr says so.
struct ParsedOptions {
  std::optional<Options> options;
  int exit_status = 0;
};
ParsedOptions parse_options(int argc, char** argv);

}  // namespace epulse::server
