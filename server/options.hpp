#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "server/engine/engines.hpp"
#include "server/session/session.hpp"
#include "server/tls/context.hpp"

namespace epulse::server {

struct Options {
  std::string listen = "127.0.0.1:9001";
  std::size_t workers = 0;  // 0: one per allowed CPU
  bool pin = true;
  EngineOptions engine;
  SessionOptions session;  // max_connections 0: as many as there are descriptors for
  std::optional<tls::Options> tls;
  std::string token_key_file;  // empty: no tokens are asked for
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

// Raises the limit of open files as far as we may; what it is then.
std::size_t raise_file_limit();

// How many connections that limit lets be. It holds for the files of the process, and for the table
// of each ring on its own.
std::size_t connections_that_fit(std::size_t file_limit, EngineKind engine, std::size_t workers);

}  // namespace epulse::server
