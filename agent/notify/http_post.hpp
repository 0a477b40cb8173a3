#pragma once

#include <atomic>
#include <string>

namespace epulse::notify {

struct PostResult {
  long status = 0;    // of the answer; 0: there was none
  std::string error;  // empty when it was a 2xx
};

// Posts JSON and waits for the answer, for `timeout_s` at most, or until `cancel` is set.
// Certificates of https are checked; redirects are not followed.
PostResult http_post(const std::string& url, const std::string& body, double timeout_s,
                     const std::atomic<bool>& cancel);

}  // namespace epulse::notify
