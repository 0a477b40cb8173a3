#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

namespace epulse {

// Makes one request of a LineSocket and waits for the answer, `timeout_s` at most. Nullopt when
// nobody listens at `path`. Throws std::runtime_error when it may not be asked, does not answer in
// time, or answers more than a line of 16 MiB; and, when `listener` is given, when another process
// has taken the path over from it (SO_PEERCRED: who called listen()).
std::optional<std::string> ask_line(const std::string& path, std::string request, double timeout_s,
                                    pid_t listener = 0);

}  // namespace epulse
