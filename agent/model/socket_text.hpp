#pragma once

#include <string>

#include "bpf/sockets.h"

// A socket as people know it.
namespace epulse::model {

std::string kind_text(const socket_record& socket);   // "tcp" "tcp6 listen" "udp" "unix stream"
std::string local_text(const socket_record& socket);  // "127.0.0.1:80" "[::1]:80" "-"
std::string peer_text(const socket_record& socket);   // the same; "-" where there is none
std::string bytes_text(double bytes);                 // "0B" "640B" "12.3K" "208K" "4.00M"

}  // namespace epulse::model
