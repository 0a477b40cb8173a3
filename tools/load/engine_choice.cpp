#include "tools/load/engine_choice.hpp"

#include <string>

#include "server/engine/engines.hpp"
#include "tools/load/error.hpp"

namespace epulse::load {
namespace {

constexpr std::size_t kBatch = 256;
constexpr unsigned kSparePlaces = 16;

}  // namespace

server::EngineOptions engine_options(const Options& options) {
  server::EngineOptions engine;
  engine.kind = options.engine;
  engine.epoll_batch = kBatch;
  engine.ring.files = options.connections / options.all_threads() + 1 + kSparePlaces;
  return engine;
}

void check_engine(const Options& options) {
  const std::string why = server::why_unavailable(engine_options(options));
  if (!why.empty()) fail("cannot use --engine io_uring: {}; use --engine epoll", why);
}

}  // namespace epulse::load
