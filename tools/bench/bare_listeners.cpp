// How several threads accept from one port, as the founding article compares it: all from a single
// listening socket, each from its own (SO_REUSEPORT), each from its own and tied to a CPU.
// Otherwise the loop of bare_epoll.
#include <pthread.h>
#include <sched.h>

#include <string_view>
#include <thread>
#include <vector>

#include "tools/bench/bare_echo.hpp"

namespace epulse::bench {
namespace {

void tie_to(std::size_t cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  if (const int code = pthread_setaffinity_np(pthread_self(), sizeof set, &set); code != 0) {
    give_up("tie a worker to a CPU", code);
  }
}

[[noreturn]] void usage(const char* program) {
  std::fprintf(stderr, "usage: %s PORT WORKERS single|reuseport|pinned\n", program);
  std::exit(2);
}

}  // namespace
}  // namespace epulse::bench

int main(int argc, char** argv) {
  using namespace epulse::bench;
  if (argc != 4) usage(argv[0]);
  const std::string_view how = argv[3];
  const int workers = std::atoi(argv[2]);
  if (workers < 1 || (how != "single" && how != "reuseport" && how != "pinned")) usage(argv[0]);
  const bool shared = how == "single";
  const int first = listen_on(argv[1], !shared);
  std::vector<std::jthread> threads;
  for (int worker = 0; worker < workers; ++worker) {
    const int listener = shared || worker == 0 ? first : listen_on(argv[1], true);
    threads.emplace_back([listener, worker, pinned = how == "pinned"] {
      if (pinned) tie_to(static_cast<std::size_t>(worker));
      serve(listener);
    });
  }
}
