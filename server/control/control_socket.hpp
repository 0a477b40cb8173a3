#pragma once

#include <string>

#include "common/line_socket.hpp"
#include "server/session/tunables.hpp"

namespace epulse::server {

// The socket on which root and our own user read and change settings, a line for each request and
// answer (settings.hpp).
class ControlSocket {
 public:
  // Takes the place of a socket that nobody listens on, and with `replace` of any. Throws
  // std::runtime_error.
  ControlSocket(std::string path, Tunables& tunables, bool replace);

 private:
  LineSocket socket_;
};

}  // namespace epulse::server
