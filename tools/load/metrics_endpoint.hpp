#pragma once

#include <poll.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace epulse::load {

// Answers GET /metrics over HTTP/1.1, one request per connection, in the thread that calls it.
class MetricsEndpoint {
 public:
  // Listens on ADDRESS:PORT. Throws Error.
  explicit MetricsEndpoint(const std::string& address);
  MetricsEndpoint(const MetricsEndpoint&) = delete;
  MetricsEndpoint& operator=(const MetricsEndpoint&) = delete;
  ~MetricsEndpoint();

  // What to wait for with poll().
  void add_to(std::vector<pollfd>& waiting) const;
  // Does what there is to do, without waiting. `render` is called for each scrape.
  void serve(const std::function<std::string()>& render, std::uint64_t now_ns);

 private:
  struct Scrape {
    int fd;
    std::uint64_t until_ns;
    std::string request;
    std::string answer;  // what is still to be sent of it
  };

  void accept_all(std::uint64_t now_ns);
  // These tell whether it is done with, one way or another.
  static bool receive(Scrape& scrape, const std::function<std::string()>& render);
  static bool send_some(Scrape& scrape);

  int fd_;
  std::vector<Scrape> scrapes_;
};

}  // namespace epulse::load
