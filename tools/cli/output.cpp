#include "tools/cli/output.hpp"

#include <cerrno>
#include <cstdio>

#include "agent/error.hpp"

namespace epulse::cli {
namespace {

[[noreturn]] void fail_to_write(int error) {
  fail("cannot write the output: {}", error == 0 ? "an earlier write failed" : errno_text(error));
}

}  // namespace

void print_text(std::string_view text) {
  errno = 0;
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) fail_to_write(errno);
}

void flush_output() {
  errno = 0;
  if (std::fflush(stdout) != 0) fail_to_write(errno);
  if (std::ferror(stdout) != 0) fail_to_write(0);
}

}  // namespace epulse::cli
