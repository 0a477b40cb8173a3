#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "common/unique_fd.hpp"

namespace epulse {

struct LineSocketOptions {
  std::string path;
  std::string owner;                 // "server": who holds it, in messages
  std::string remedy;                // "choose another --control-socket"
  std::size_t line_bytes_max = 256;  // without its end
  std::optional<gid_t> group = {};   // its members may talk to us, too
  bool replace = false;              // take the place of a socket that somebody listens on
  std::chrono::milliseconds patience{10'000};  // for a request to come, and for an answer to go
};

// A Unix stream socket on which root, our own user and perhaps a group make requests, a line for
// each request and for each answer. It has a thread, so that nobody else waits for it. Garbage,
// endless lines, slow, silent and too many clients are answered or dropped, and harm nobody.
class LineSocket {
 public:
  // Called in the socket's thread, for one line at a time, without its end; its answer has none.
  using Answer = std::function<std::string(std::string_view line)>;

  // Takes the place of a socket that nobody listens on. Throws std::runtime_error: one line, what
  // failed, on what, why, the remedy.
  LineSocket(LineSocketOptions options, Answer answer);
  LineSocket(const LineSocket&) = delete;
  LineSocket& operator=(const LineSocket&) = delete;
  // Removes the socket's file, unless another process has replaced it.
  ~LineSocket();

 private:
  struct Client {
    UniqueFd fd;
    std::string line;    // as far as it has come
    std::string answer;  // as far as it has not gone; no line is read meanwhile
    std::chrono::steady_clock::time_point since;  // its request, or the answer, began
  };

  void bind_to_path();
  void run();
  bool accept_client();
  bool may_talk(int fd) const;
  bool serve(Client& client);
  bool hear(Client& client) const;
  bool answer_lines(Client& client);

  LineSocketOptions options_;
  Answer answer_;
  UniqueFd listener_;
  UniqueFd stop_;    // an eventfd
  ino_t inode_ = 0;  // of the socket's file
  std::vector<Client> clients_;
  std::thread thread_;
};

// The path of a LineSocket, from the draft's that it was bound to: the one /proc/net/unix goes on
// showing. Any other is returned as it is.
std::string path_of_bound(const std::string& bound);

}  // namespace epulse
