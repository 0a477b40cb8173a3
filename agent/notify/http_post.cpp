#include "agent/notify/http_post.hpp"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>

namespace epulse::notify {
namespace {

constexpr size_t kAnswerBytesKept = 200;  // for the message; a receiver may send without end

struct EndHandle {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

size_t keep_start(char* data, size_t, size_t bytes, void* answer) {
  auto& kept = *static_cast<std::string*>(answer);
  kept.append(data, std::min(bytes, kAnswerBytesKept - kept.size()));
  return bytes;
}

int is_cancelled(void* cancel, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<const std::atomic<bool>*>(cancel)->load() ? 1 : 0;
}

// A message is one line of what can be read, whatever the receiver sent.
std::string readable(std::string text) {
  std::replace_if(
      text.begin(), text.end(),
      [](char c) { return static_cast<unsigned char>(c) < 0x20 || (c & '\x80') != 0; }, '?');
  return text;
}

}  // namespace

PostResult http_post(const std::string& url, const std::string& body, double timeout_s,
                     const std::atomic<bool>& cancel) {
  const std::unique_ptr<CURL, EndHandle> handle(curl_easy_init());
  const std::unique_ptr<curl_slist, FreeList> headers(
      curl_slist_append(nullptr, "Content-Type: application/json"));
  if (!handle || !headers) return {0, "no memory"};
  std::array<char, CURL_ERROR_SIZE> error{};
  std::string answer;
  const auto set = [&](CURLoption option, auto value) {
    curl_easy_setopt(handle.get(), option, value);
  };
  set(CURLOPT_URL, url.c_str());
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_HTTPHEADER, headers.get());
  set(CURLOPT_POSTFIELDS, body.c_str());
  set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
  set(CURLOPT_USERAGENT, "epulsed/" EPULSE_VERSION);
  set(CURLOPT_TIMEOUT_MS, std::max(1L, static_cast<long>(timeout_s * 1000)));  // 0: for ever
  set(CURLOPT_NOSIGNAL, 1L);
#if LIBCURL_VERSION_NUM >= 0x075700
  // Else a name server that does not answer is waited for beyond any timeout (7.87).
  set(CURLOPT_QUICK_EXIT, 1L);
#endif
  set(CURLOPT_NOPROGRESS, 0L);
  set(CURLOPT_XFERINFOFUNCTION, is_cancelled);
  set(CURLOPT_XFERINFODATA, &cancel);
  set(CURLOPT_WRITEFUNCTION, keep_start);
  set(CURLOPT_WRITEDATA, &answer);
  set(CURLOPT_ERRORBUFFER, error.data());
  const CURLcode code = curl_easy_perform(handle.get());
  long status = 0;
  curl_easy_getinfo(handle.get(), CURLINFO_RESPONSE_CODE, &status);
  if (code != CURLE_OK) {
    return {0, readable(error[0] != 0 ? error.data() : curl_easy_strerror(code))};
  }
  if (status >= 200 && status < 300) return {status, {}};
  return {status,
          readable(fmt::format("it answers {}{}{}", status, answer.empty() ? "" : ": ", answer))};
}

}  // namespace epulse::notify
