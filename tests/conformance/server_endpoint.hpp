#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tests/conformance/script.hpp"
#include "tests/server/child.hpp"
#include "tests/server/test_client.hpp"

// epulse-ws itself, over sockets.
namespace epulse::conformance {

// One program for all cases that want the same options; it must survive them all.
class Server {
 public:
  // Started at the first call.
  static Server& plain();
  static Server& with(const std::vector<std::string>& options);

  int port() const { return child_.port(); }
  // Returns when the server has handled what was sent to it before: it has one worker, and what
  // this asks on a connection of its own comes last.
  void settle();
  // SIGTERM; the exit status.
  int stop();
  const std::string& complaints() { return child_.child().err(); }

 private:
  explicit Server(const std::vector<std::string>& options);

  testing::ServerChild child_;
  std::optional<testing::TestClient> witness_;
};

class ServerEndpoint : public Endpoint {
 public:
  explicit ServerEndpoint(Server& server)
      : ServerEndpoint(server, testing::TestClient::open(server.port())) {}
  // After the opening handshake.
  ServerEndpoint(Server& server, testing::TestClient client)
      : server_(server), client_(std::move(client)) {}

  Role role() const override { return Role::kServer; }
  void send(Bytes bytes) override { client_.send_raw(bytes); }
  void settle() override { server_.settle(); }
  std::optional<Frame> receive() override;
  bool is_quiet() override;
  // Our answer to its close frame, if it is one; then FIN from the server first, no reset, and
  // nothing else.
  void expect_clean_end() override;

 private:
  Server& server_;
  testing::TestClient client_;
  Bytes received_;
};

// That the server closes cleanly when the client does so with 1000.
void expect_clean_close(testing::TestClient& client);

// What the server answers to an opening handshake of this request line, with these fields besides
// the necessary ones, or only with them.
std::string answer(Server& server, std::string_view fields,
                   std::string_view line = "GET / HTTP/1.1");
std::string answer_exactly(Server& server, std::string_view line, std::string_view fields);
int status_of(std::string_view answer);

// The necessary ones, and those without one of them.
std::string necessary_fields();
std::string fields_without(std::string_view name);

}  // namespace epulse::conformance
