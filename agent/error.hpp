#pragma once

#include <fmt/format.h>

#include <cerrno>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

namespace epulse {

// A failure that ends the command. The text is one line: what failed, on what, why, the likely
// remedy. Thrown during set-up, printed once, by main.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// This host cannot do it, however it is asked: exit status 69 (EX_UNAVAILABLE of sysexits.h).
class Unsupported : public Error {
 public:
  using Error::Error;
};

// The kernel refused a probe: the caller may do with less.
class LoadError : public Unsupported {
 public:
  using Unsupported::Unsupported;
};

template <typename... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(fmt::format(format, std::forward<Args>(args)...));
}

template <typename... Args>
[[noreturn]] void fail_unsupported(fmt::format_string<Args...> format, Args&&... args) {
  throw Unsupported(fmt::format(format, std::forward<Args>(args)...));
}

// "No such process" for ESRCH; `code` is an errno, positive or (as libbpf returns it) negative.
inline std::string errno_text(int code) {
  return std::generic_category().message(code < 0 ? -code : code);
}

}  // namespace epulse
