#pragma once

#include <string>
#include <string_view>

#include "server/session/tunables.hpp"

namespace epulse::server {

constexpr std::size_t kMaxControlLine = 256;  // bytes, without its end

// The answer to one line of the control protocol, an object of JSON in one line:
//   get             {"version":1,"backlog-cap":1048576,...}: all settings, with the names and units
//   of
//                   the command line
//   set NAME VALUE  {"version":1,"name":NAME,"before":OLD,"now":NEW}
//   anything else   {"version":1,"error":"what is wrong, and what would be right"}; nothing changes
std::string answer_control(std::string_view line, Tunables& tunables);

}  // namespace epulse::server
