#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <string>

#include "server/session/access_record.hpp"

namespace spdlog {
class logger;
namespace details {
class thread_pool;
}
}  // namespace spdlog

namespace epulse::server {

// A line per connection, written by a thread of its own; when the disk is slower than the clients,
// the oldest lines are dropped, and counted, rather than anybody held up.
class AccessLog {
 public:
  // Throws Error.
  explicit AccessLog(std::string file);
  AccessLog(const AccessLog&) = delete;
  AccessLog& operator=(const AccessLog&) = delete;
  ~AccessLog();

  // From any thread.
  void write(const AccessRecord& record);
  // Goes on in a new file, when the old one was renamed; says how many lines were dropped. Throws
  // Error, and goes on in the old one.
  void reopen();

 private:
  std::shared_ptr<spdlog::logger> open() const;
  void tell_dropped();

  std::string file_;
  std::shared_ptr<spdlog::details::thread_pool> pool_;
  std::mutex mutex_;  // of the pointer
  std::shared_ptr<spdlog::logger> logger_;
  std::size_t told_dropped_ = 0;
};

// `127.0.0.1:51234 "GET /topic/a" 101 12.345678 in=3/60 out=3/60 close=1000`: seconds, then
// messages and their bytes. What is not printable, or a quote, is \xHH.
std::string access_line(const AccessRecord& record);

}  // namespace epulse::server
