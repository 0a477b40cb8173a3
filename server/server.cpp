#include "server/server.hpp"

#include <spdlog/spdlog.h>

#include <utility>

#include "server/engine/engines.hpp"
#include "server/engine/listener.hpp"
#include "server/session/cpus.hpp"
#include "server/session/file_limit.hpp"
#include "server/session/worker.hpp"
#include "server/tls/context.hpp"

namespace epulse::server {
namespace {

// epoll where the other cannot be had.
EngineOptions choose_engine(const EngineOptions& wanted) {
  EngineOptions chosen = wanted;
  const std::string reason = why_unavailable(wanted);
  if (!reason.empty()) {
    spdlog::warn("{}; using epoll{}", reason,
                 wanted.zero_copy.from_bytes != 0 ? ", which always copies (--zerocopy-from)" : "");
    chosen.kind = EngineKind::kEpoll;
  }
  return chosen;
}

}  // namespace

Server::Server(const ServerOptions& options, const HandlerFactory& make_handler)
    : tls_(options.tls ? std::make_unique<tls::Context>(*options.tls) : nullptr) {
  try {
    start(options, make_handler);
  } catch (...) {
    drain();  // The workers' destructors wait for those that did start.
    throw;
  }
}

Server::~Server() {
  drain();
}

void Server::start(const ServerOptions& options, const HandlerFactory& make_handler) {
  const std::vector<int> cpus = allowed_cpus();
  const std::size_t count = options.workers == 0 ? cpus.size() : options.workers;
  const std::size_t file_limit = raise_file_limit();
  const EngineOptions engine = choose_engine(options.engine);
  if (engine.kind == EngineKind::kEpoll) grow_file_table(file_limit);  // before there are threads
  SessionOptions session = options.session;
  session.limited_are_reset = options.tls.has_value();
  if (session.max_connections == 0) {
    session.max_connections = connections_that_fit(file_limit, engine.kind, count);
  }
  const Address wanted = parse_address(options.listen);
  Listeners listeners = options.inherited ? adopt_listeners(wanted, count, *options.inherited)
                                          : open_listeners(wanted, count);
  shared_ = std::make_unique<SharedState>(session, engine, count);
  address_ = listeners.address;
  claim_ = std::move(listeners.claim);
  engine_ = engine.kind;
  for (std::size_t k = 0; k < count; ++k) {
    const int cpu = options.pin ? cpus[k % cpus.size()] : -1;
    listeners_.push_back(listeners.sockets[k].get());
    workers_.push_back(std::make_unique<Worker>(WorkerOptions{k, cpu, engine, tls_.get()}, *shared_,
                                                make_handler, std::move(listeners.sockets[k])));
    threads_.push_back({0, cpu});
  }
  for (std::size_t k = 0; k < count; ++k) threads_[k].tid = workers_[k]->wait_started();
}

void Server::reload_certificate() {
  if (tls_) tls_->reload();
}

InheritedListeners Server::listeners() const {
  return {listeners_, claim_.get()};
}

Tunables& Server::tunables() {
  return shared_->tunables;
}

void Server::set_accept_loads(steering_worker* loads) {
  shared_->accept_loads.store(loads, std::memory_order_release);
}

void Server::stop_accepting() {
  enter(Stage::kNoNewcomers);
}

void Server::drain() {
  if (shared_) enter(Stage::kDraining);
}

void Server::enter(Stage stage) {
  shared_->stage.store(stage);
  for (std::size_t k = 0; k < shared_->hub.workers(); ++k) shared_->hub.waker(k).wake();
}

void Server::join() {
  for (const auto& worker : workers_) worker->join();
}

}  // namespace epulse::server
