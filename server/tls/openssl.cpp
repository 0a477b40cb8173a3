#include "server/tls/openssl.hpp"

namespace epulse::tls {

std::string take_error() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) return "no reason given";
  // Errors of the system have their text elsewhere, and those of a missing string only a number.
  const char* reason = ERR_reason_error_string(code);
  if (reason != nullptr) return reason;
  std::string text(256, '\0');
  ERR_error_string_n(code, text.data(), text.size());
  text.resize(text.find('\0'));
  return text;
}

}  // namespace epulse::tls
