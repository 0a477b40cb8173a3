#pragma once

#include <memory>
#include <string>

#include "tools/cli/commands.hpp"
#include "tools/cli/screen.hpp"
#include "tools/cli/target.hpp"
#include "tools/cli/watch.hpp"

namespace epulse::cli {

// What `epulse top` looks at.
class TopSource {
 public:
  virtual ~TopSource() = default;
  // At every tick. True when an interval has ended; then there is a new view.
  virtual bool tick() = 0;
  virtual View view() = 0;
  // As lines of JSON, `most` at most; 0: all.
  virtual std::string json(size_t most) = 0;
  // What is to be seen in the end: the whole run, or the last interval.
  virtual View last_view() = 0;
  // All processes have ended, and no other can come.
  virtual bool ended() = 0;
};

// Every epoll instance of the host, looked at `options.hz` times a second; starts the watch. Throws
// Unsupported without BPF.
std::unique_ptr<TopSource> host_source(const TopOptions& options, Watch& watch);

// The workers of a target, by the probes of `epulse stat`; starts the watch. Throws Unsupported
// without BPF.
std::unique_ptr<TopSource> worker_source(const TopOptions& options, const Target& target,
                                         Watch& watch);

}  // namespace epulse::cli
