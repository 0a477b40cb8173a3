// What epulse-ws's epoll engine is held to: an echo on epoll, without WebSocket.
#include "tools/bench/bare_echo.hpp"

int main(int argc, char** argv) {
  epulse::bench::serve(epulse::bench::listen_on(argc, argv));
}
