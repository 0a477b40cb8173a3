#pragma once

#include <string_view>

namespace epulse::config {

// Something that curl can post to: http or https, and a host.
bool is_http_url(std::string_view text);

}  // namespace epulse::config
