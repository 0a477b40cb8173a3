// Echoes every message, on all CPUs: example_echo [ADDRESS:PORT]
#include <cstdio>
#include <exception>

#include "server/server.hpp"

namespace {

using namespace epulse;

class Echo final : public server::SocketHandler {
 public:
  void on_message(server::Socket socket, ws::Opcode opcode,
                  std::span<std::uint8_t> message) override {
    socket.send(opcode, message);
  }
};

}  // namespace

int main(int argc, char** argv) {
  try {
    server::ServerOptions options;
    if (argc > 1) options.listen = argv[1];
    server::Server server(options, [](std::size_t) { return std::make_unique<Echo>(); });
    std::printf("listening on %s\n", server.address().text().c_str());
    std::fflush(stdout);
    server.join();  // until a signal ends the process
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "example_echo: %s\n", error.what());
    return 2;
  }
}
