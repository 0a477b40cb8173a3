#pragma once

#include <gtest/gtest.h>

#include "tests/conformance/client_endpoint.hpp"
#include "tests/conformance/server_endpoint.hpp"

namespace epulse::conformance {

// The same for epulse-ws and for the client role.
inline void run_in_both_roles(const Script& script) {
  {
    SCOPED_TRACE("server");
    ServerEndpoint server(Server::plain());
    script.run(server);
  }
  SCOPED_TRACE("client");
  ClientEndpoint client;
  script.run(client);
}

}  // namespace epulse::conformance
