#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

namespace epulse::load {

// A failure that ends the program. The text is one line: what failed, on what, why, the likely
// remedy.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

template <typename... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(fmt::format(format, std::forward<Args>(args)...));
}

inline std::string errno_text(int code) {
  return std::generic_category().message(code);
}

}  // namespace epulse::load
