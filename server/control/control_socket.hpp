#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <thread>
#include <vector>

#include "server/engine/file_descriptor.hpp"
#include "server/session/tunables.hpp"

namespace epulse::server {

// A Unix stream socket on which root and our own user read and change settings, a line for each
// request and answer (settings.hpp). It has a thread, so that no worker waits for it. Slow or
// silent clients are dropped, and harm nobody.
class ControlSocket {
 public:
  // Takes the place of a socket that nobody listens on, and with `replace` of any. Throws Error.
  ControlSocket(std::string path, Tunables& tunables, bool replace);
  ControlSocket(const ControlSocket&) = delete;
  ControlSocket& operator=(const ControlSocket&) = delete;
  // Removes the socket's file, unless another process has replaced it.
  ~ControlSocket();

 private:
  struct Client {
    FileDescriptor fd;
    std::string line;  // as far as it has come
    std::chrono::steady_clock::time_point heard;
  };

  void bind_to_path(bool replace);
  void run();
  bool accept_client();
  bool serve(Client& client);
  bool answer_lines(Client& client);

  std::string path_;
  Tunables& tunables_;
  FileDescriptor listener_;
  FileDescriptor stop_;  // an eventfd
  ino_t inode_ = 0;      // of the socket's file
  std::vector<Client> clients_;
  std::thread thread_;
};

}  // namespace epulse::server
