#pragma once

#include <atomic>
#include <string>

namespace epulse::notify {

// Posts JSON and waits for the answer, for `timeout_s` at most, or until `cancel` is set. Returns
// an empty text when the answer was a 2xx, else what went wrong. Certificates of https are checked;
// redirects are not followed.
std::string http_post(const std::string& url, const std::string& body, double timeout_s,
                      const std::atomic<bool>& cancel);

}  // namespace epulse::notify
