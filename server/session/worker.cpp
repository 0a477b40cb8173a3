#include "server/session/worker.hpp"

#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <exception>
#include <memory>
#include <optional>
#include <utility>

#include "server/contract/stats_writer.hpp"
#include "server/session/cpus.hpp"
#include "server/tls/tls_engine.hpp"

namespace epulse::server {

Worker::Worker(const WorkerOptions& options, SharedState& shared, HandlerFactory make_handler,
               UniqueFd listener)
    : options_(options),
      shared_(shared),
      make_handler_(std::move(make_handler)),
      listener_(std::move(listener)),
      thread_([this] { run(); }) {}

Worker::~Worker() {
  if (thread_.joinable()) thread_.join();
}

void Worker::join() {
  thread_.join();
  ended_.get_future().get();
}

void Worker::run() {
  bool started = false;
  try {
    const pid_t tid = set_up();
    // Built here, after pinning, so that its memory is near this CPU.
    const std::unique_ptr<SocketHandler> handler = make_handler_(options_.index);
    Session session(shared_, options_.index, *handler);
    std::optional<TlsEngine> tls;
    if (options_.tls != nullptr) tls.emplace(*options_.tls, session);
    const std::unique_ptr<Engine> engine =
        make_engine(options_.engine, tls ? static_cast<Handler&>(*tls) : session,
                    shared_.pages.worker(options_.index));
    if (tls) tls->attach(*engine);
    session.attach(tls ? static_cast<Engine&>(*tls) : *engine);
    started = true;
    started_.set_value(tid);
    engine->run();
    ended_.set_value();
  } catch (...) {
    if (!started) {
      started_.set_exception(std::current_exception());
      ended_.set_value();
      return;
    }
    ended_.set_exception(std::current_exception());
    kill(getpid(), SIGTERM);  // A server with a dead worker would leave its share unanswered: end.
  }
}

pid_t Worker::set_up() {
  pthread_setname_np(pthread_self(), fmt::format("ws-worker-{}", options_.index).c_str());
  if (options_.cpu >= 0) pin_to(options_.cpu);
  options_.engine.listen_fd = listener_.get();
  options_.engine.wake_fd = shared_.hub.waker(options_.index).fd();
  const pid_t tid = gettid();
  epulse_stats_worker& page = shared_.pages.worker(options_.index);
  stat_set(page.tid, static_cast<__u32>(tid));
  stat_set(page.cpu, options_.cpu);
  return tid;
}

}  // namespace epulse::server
