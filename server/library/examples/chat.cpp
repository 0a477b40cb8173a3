// One room for each path: what somebody says there, all in it hear. example_chat [ADDRESS:PORT]
#include <cstdio>
#include <exception>

#include "server/server.hpp"

namespace {

using namespace epulse;

struct Guest final : server::SocketState {
  explicit Guest(server::TopicPtr place) : room(std::move(place)) {}
  server::TopicPtr room;
};

class Chat final : public server::SocketHandler {
 public:
  void on_open(server::Socket socket, const ws::Request& request) override {
    socket.set_state(std::make_unique<Guest>(socket.subscribe(request.target)));
    say(socket, "has come");
  }
  void on_message(server::Socket socket, ws::Opcode opcode,
                  std::span<std::uint8_t> message) override {
    if (opcode != ws::Opcode::kText) {
      return socket.close(ws::CloseCode::kUnsupportedData, "text only");
    }
    say(socket, std::string(": ").append(message.begin(), message.end()));
  }
  void on_close(server::Socket socket, ws::CloseCode) override { say(socket, "has left"); }

 private:
  static void say(server::Socket socket, const std::string& what) {
    socket.publish_text(socket.state<Guest>()->room,
                        "guest " + std::to_string(socket.id().slot) + ' ' + what);
  }
};

}  // namespace

int main(int argc, char** argv) {
  try {
    server::ServerOptions options;
    if (argc > 1) options.listen = argv[1];
    server::Server server(options, [](std::size_t) { return std::make_unique<Chat>(); });
    std::printf("listening on %s\n", server.address().text().c_str());
    std::fflush(stdout);
    server.join();  // until a signal ends the process
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "example_chat: %s\n", error.what());
    return 2;
  }
}
