#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "agent/kernel/process.hpp"

namespace epulse::kernel {

// The ends of a TCP connection as programs print them: "127.0.0.1:9001", "[::1]:9001". An IPv4 peer
// of an IPv6 socket (::ffff:127.0.0.1) reads as IPv4: its own side has it so.
struct TcpEnds {
  std::string local;
  std::string peer;
  auto operator<=>(const TcpEnds&) const = default;
};

// The inodes of a process's sockets ("socket:[N]" in /proc/PID/fd); empty when it is gone, or may
// not be looked at. Takes no lock that the process needs.
std::set<uint64_t> socket_inodes(pid_t pid, const std::string& proc = kProc);

// The inodes of what is registered with the epoll descriptor `epfd` of a process, files and sockets
// alike ("tfd:" lines of fdinfo); likewise empty. The kernel holds the instance's mutex meanwhile
// (fs/eventpoll.c, ep_show_fdinfo), which epoll_wait takes: some 2 us for each.
std::set<uint64_t> watched_inodes(pid_t pid, int epfd, const std::string& proc = kProc);

// The network namespace of a process, by its inode; 0 when it cannot be told.
uint64_t network_namespace(pid_t pid, const std::string& proc = kProc);

// Of the TCP connections of a process's network namespace those whose sockets have the inodes
// `wanted`; listeners are none. Reads every TCP socket of the namespace: some 2 us for each.
std::map<uint64_t, TcpEnds> tcp_connections(pid_t pid, const std::set<uint64_t>& wanted,
                                            const std::string& proc = kProc);

}  // namespace epulse::kernel
