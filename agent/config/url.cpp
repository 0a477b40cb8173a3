#include "agent/config/url.hpp"

#include <curl/curl.h>

#include <memory>
#include <string>

namespace epulse::config {
namespace {

struct Free {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
  void operator()(char* text) const { curl_free(text); }
};

}  // namespace

// As curl itself reads it, but for "http:///path": curl takes the first part of the path for a
// host.
bool is_http_url(std::string_view text) {
  const bool no_host = text.starts_with("http:///") || text.starts_with("https:///");
  if (text.find('\0') != text.npos || no_host) return false;
  const std::unique_ptr<CURLU, Free> url(curl_url());
  if (!url) return false;
  if (curl_url_set(url.get(), CURLUPART_URL, std::string(text).c_str(), 0) != CURLUE_OK) {
    return false;
  }
  char* scheme = nullptr;
  if (curl_url_get(url.get(), CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK) return false;
  const std::unique_ptr<char, Free> owned(scheme);
  const std::string_view name = scheme;
  return name == "http" || name == "https";
}

}  // namespace epulse::config
