#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/model/socket_sample.hpp"

// What the host's network settings do to one process: what host advice goes by.
namespace epulse::model {

// Of the process's network namespace, where we are in it ourselves; else absent.
struct HostSettings {
  std::optional<uint64_t> somaxconn;
  std::optional<std::array<uint64_t, 3>> tcp_rmem;  // least, default, most; bytes
  std::optional<std::array<uint64_t, 3>> tcp_wmem;
  std::string congestion_control;                // of new connections; empty: unknown
  std::vector<std::string> congestion_controls;  // that may be chosen
  std::optional<uint64_t> busy_poll_us;          // of poll and epoll; the host's
  std::optional<uint64_t> busy_read_us;
};

// Of all listening sockets of the network namespace, since it began.
struct ListenCounters {
  uint64_t overflows = 0;  // the queue of those to be accepted was full
  uint64_t drops = 0;      // for that and any other reason
};

struct ListenerSample {
  int fd = -1;
  uint64_t inode = 0;
  uint64_t queued = 0;   // connections to be accepted
  uint64_t backlog = 0;  // how many may be: what it asked for, or somaxconn
  uint64_t drops = 0;    // connections turned away since it listens
};

struct ConnectionSample {
  SocketSample socket;
  std::string congestion_control;
  uint64_t rtt_us = 0;
  uint64_t segments_out = 0;  // since it began
  uint64_t retransmits = 0;   // ... of them again
  uint32_t napi_id = 0;       // of the receive queue of a network card; 0: none, as on loopback
};

struct NetworkSample {
  std::vector<ListenerSample> listeners;
  std::vector<ConnectionSample> connections;
};

// One interval's wake-ups, where BPF measured them.
struct WakeupFacts {
  uint64_t deliveries = 0;
  double share = 0;       // of the time from ready to delivered, until the thread runs
  uint64_t ns_mean = 0;   // from woken to running
  double idle_share = 0;  // of the CPUs of the workers
};

struct HostFacts {
  std::string process;  // "nginx[4711]"
  pid_t pid = 0;
  bool own_network = false;  // the process has a network namespace that is not ours
  HostSettings settings;
  std::optional<ListenCounters> listen;
  NetworkSample network;
  WakeupFacts wakeups;
};

}  // namespace epulse::model
