#include "tools/load/opening_failure.hpp"

#include <fmt/format.h>

#include <cerrno>

#include "tools/load/error.hpp"

namespace epulse::load {

std::string opening_failure(ErrorKind kind, const Target& target, std::string_view why) {
  if (kind == ErrorKind::kConnect && why == errno_text(EADDRNOTAVAIL)) {
    return fmt::format(
        "cannot connect to {}: {}: no port is left for it, or a --source is not of this host; give "
        "more --source addresses",
        target.authority, why);
  }
  if (kind == ErrorKind::kConnect && why == errno_text(EMFILE)) {
    return fmt::format("cannot connect to {}: {}; use more --processes, or raise ulimit -n",
                       target.authority, why);
  }
  if (kind == ErrorKind::kConnect && why == errno_text(ENOSPC)) {
    return fmt::format("cannot watch a connection to {}: {}; raise fs.epoll.max_user_watches",
                       target.authority, why);
  }
  if (kind == ErrorKind::kConnect) {
    return fmt::format("cannot connect to {}: {}; is the server running?", target.authority, why);
  }
  if (kind == ErrorKind::kTls) {
    return fmt::format(
        "cannot speak TLS with {}: {}; is it a TLS server? If its certificate is in doubt: "
        "--tls-ca FILE, or --tls-insecure",
        target.authority, why);
  }
  if (target.raw) {
    return fmt::format("cannot use {}: {}; does the server echo all that it receives?",
                       target.authority, why);
  }
  return fmt::format(
      "cannot open a WebSocket on {}{}: {}; is it a WebSocket server, and the path right?",
      target.authority, target.path, why);
}

}  // namespace epulse::load
