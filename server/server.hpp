#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/unique_fd.hpp"
#include "server/engine/address.hpp"
#include "server/engine/engine_options.hpp"
#include "server/engine/listener.hpp"
#include "server/session/session_options.hpp"
#include "server/session/socket.hpp"
#include "server/tls/options.hpp"

// A WebSocket server as a library, libepulse-ws: the application is a SocketHandler.
namespace epulse::tls {
class Context;
}

struct steering_worker;

namespace epulse::server {

struct SharedState;
struct Tunables;
enum class Stage : std::uint8_t;
class Worker;

struct ServerOptions {
  std::string listen = "127.0.0.1:9001";  // ADDRESS:PORT; port 0 picks one
  std::size_t workers = 0;                // 0: one per allowed CPU
  bool pin = true;                        // each worker to a CPU
  EngineOptions engine;
  SessionOptions session;  // max_connections 0: as many as there are descriptors for
  std::optional<tls::Options> tls;
  std::optional<InheritedListeners> inherited;  // instead of sockets of its own
};

// Worker threads that serve one address.
class Server {
 public:
  struct Thread {
    pid_t tid;
    int cpu;  // -1: not pinned
  };

  // Serves when it returns. Throws Error. `make_handler` is called once per worker, in its thread.
  // Raises the limit of open files as far as it may. A worker that fails later ends the process
  // with SIGTERM, and join() throws why.
  Server(const ServerOptions& options, const HandlerFactory& make_handler);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server();

  const Address& address() const { return address_; }  // with the port that 0 picked
  const std::vector<Thread>& threads() const { return threads_; }
  // epoll where io_uring cannot be had; why, as a warning in the log.
  EngineKind engine() const { return engine_; }

  // Reads the certificate's files again, for connections to come. Throws Error, and all is as it
  // was.
  void reload_certificate();

  // What may be changed from now on.
  Tunables& tunables();

  // Where the workers tell from now on how much they have to do, one each; it outlives the server.
  void set_accept_loads(steering_worker* loads);

  // For another process to take over: valid until drain().
  InheritedListeners listeners() const;

  // Takes no more connections, and serves those there are; from any thread. Others may be waiting
  // to be accepted by whoever shares the listeners.
  void stop_accepting();

  // Takes no more connections and closes those there are with 1001; from any thread, and it does
  // not wait.
  void drain();
  // Waits until all workers have ended, after drain().
  void join();

 private:
  void start(const ServerOptions& options, const HandlerFactory& make_handler);
  void enter(Stage stage);

  std::unique_ptr<tls::Context> tls_;
  std::unique_ptr<SharedState> shared_;
  Address address_;
  EngineKind engine_ = EngineKind::kEpoll;
  UniqueFd claim_;              // of the port
  std::vector<int> listeners_;  // the workers'
  std::vector<Thread> threads_;
  std::vector<std::unique_ptr<Worker>> workers_;
};

}  // namespace epulse::server
