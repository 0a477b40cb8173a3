#pragma once

#include "agent/model/socket_pressure.hpp"

// What `epulse stat --sockets` shows of a process's sockets.
namespace epulse::cli {

// The worst of an interval.
void print_sockets(const model::SocketPressure& interval);

// The whole run; `hooks` tells which events the kernel tells.
void print_socket_summary(const model::SocketRun& run, const model::SocketHooks& hooks);

}  // namespace epulse::cli
