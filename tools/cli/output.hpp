#pragma once

#include <string_view>

// Standard output, where results go. A reader that has gone away ends us quietly (SIGPIPE); any
// other failure to write, as a full disk, is an Error: what was not written was not shown.
namespace epulse::cli {

void print_text(std::string_view text);
// What was printed until now reaches its reader. Throws Error.
void flush_output();

}  // namespace epulse::cli
