#include "tests/conformance/server_endpoint.hpp"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <csignal>
#include <map>
#include <memory>

namespace epulse::conformance {
namespace {

using testing::TestClient;

std::map<std::vector<std::string>, std::unique_ptr<Server>>& servers() {
  static std::map<std::vector<std::string>, std::unique_ptr<Server>> all;
  return all;
}

// None of them may have ended, or end otherwise than it should.
class ServersSurvive : public ::testing::Environment {
 public:
  void TearDown() override {
    for (auto& [options, server] : servers()) {
      EXPECT_EQ(server->stop(), 0) << server->complaints();
    }
    servers().clear();
  }
};
const auto* const kSurvival = ::testing::AddGlobalTestEnvironment(new ServersSurvive);

std::vector<std::string> one_worker(std::vector<std::string> options) {
  options.insert(options.end(), {"--workers", "1"});
  return options;
}

int tcp_state(int fd) {
  tcp_info info{};
  socklen_t size = sizeof info;
  getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size);
  return info.tcpi_state;
}

int pending_error(int fd) {
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  return error;
}

// The stream has ended with FIN; our own FIN is taken, too, where a server that closed too early
// would answer with a reset.
void expect_no_reset(const TestClient& client) {
  EXPECT_FALSE(client.was_reset());
  shutdown(client.fd(), SHUT_WR);
  EXPECT_TRUE(testing::eventually([&] { return tcp_state(client.fd()) == TCP_CLOSE; }));
  EXPECT_EQ(pending_error(client.fd()), 0) << "the stream was reset";
}

}  // namespace

Server::Server(const std::vector<std::string>& options)
    : child_(one_worker(options)), witness_(TestClient::open(child_.port())) {}

Server& Server::plain() {
  return with({});
}

Server& Server::with(const std::vector<std::string>& options) {
  std::unique_ptr<Server>& server = servers()[options];
  if (!server) server.reset(new Server(options));
  return *server;
}

void Server::settle() {
  witness_->send(ws::Opcode::kPing, {});
  if (witness_->receive().kind != ws::Event::Kind::kPong) throw std::runtime_error("no pong");
}

int Server::stop() {
  witness_.reset();  // The server would wait two seconds for its close frame.
  child_.child().signal(SIGTERM);
  return child_.child().wait();
}

std::optional<Frame> ServerEndpoint::receive() {
  while (true) {
    if (auto frame = take_frame(received_)) return frame;
    const Bytes more = client_.receive_raw();
    if (more.empty()) return std::nullopt;
    received_.insert(received_.end(), more.begin(), more.end());
  }
}

bool ServerEndpoint::is_quiet() {
  const Bytes more = client_.receive_raw(std::chrono::milliseconds(5));
  received_.insert(received_.end(), more.begin(), more.end());
  return received_.empty();
}

void ServerEndpoint::expect_clean_end() {
  client_.send_raw(wire(close(1000), Role::kServer));  // Nobody reads it if it is our second one.
  const Bytes more = client_.receive_raw();
  EXPECT_TRUE(received_.empty() && more.empty()) << "something follows the close frame";
  EXPECT_TRUE(client_.ended());
  expect_no_reset(client_);
}

void expect_clean_close(TestClient& client) {
  client.send_raw(wire(close(1000), Role::kServer));
  testing::expect_close(client, ws::CloseCode::kNormal);
  expect_no_reset(client);
}

std::string answer_exactly(Server& server, std::string_view line, std::string_view fields) {
  return TestClient(server.port())
      .request(std::string(line) + "\r\n" + std::string(fields) + "\r\n");
}

std::string answer(Server& server, std::string_view fields, std::string_view line) {
  return answer_exactly(server, line, necessary_fields() + std::string(fields));
}

int status_of(std::string_view answer) {
  constexpr std::string_view kVersion = "HTTP/1.1 ";
  if (!answer.starts_with(kVersion)) return 0;
  return std::stoi(std::string(answer.substr(kVersion.size(), 3)));
}

std::string necessary_fields() {
  return "Host: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";
}

std::string fields_without(std::string_view name) {
  std::string fields = necessary_fields();
  const std::size_t start = fields.find(std::string(name) + ':');
  fields.erase(start, fields.find("\r\n", start) + 2 - start);
  return fields;
}

}  // namespace epulse::conformance
