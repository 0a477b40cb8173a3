#pragma once

#include <string>

namespace epulse::probes {

// Keeps libbpf's warnings instead of letting them out to stderr, so that a failed load is reported
// once, with its cause. One load at a time.
class LibbpfLog {
 public:
  LibbpfLog();
  ~LibbpfLog();
  LibbpfLog(const LibbpfLog&) = delete;
  LibbpfLog& operator=(const LibbpfLog&) = delete;

  // The line that says most about why: the verifier's last words where there are any.
  static std::string cause();
};

}  // namespace epulse::probes
