#include "server/control/control_socket.hpp"

#include <utility>

#include "server/control/settings.hpp"

namespace epulse::server {

ControlSocket::ControlSocket(std::string path, Tunables& tunables, bool replace)
    : socket_({.path = std::move(path),
               .owner = "server",
               .remedy = "choose another --control-socket",
               .line_bytes_max = kMaxControlLine,
               .replace = replace},
              [&tunables](std::string_view line) { return answer_control(line, tunables); }) {}

}  // namespace epulse::server
