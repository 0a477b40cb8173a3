#pragma once

namespace epulse::testing {

// Whose memory is then not the program's.
inline bool has_sanitizer() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return true;
#else
  return false;
#endif
}

}  // namespace epulse::testing
