#include "server/access/token.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "server/ws/http.hpp"

namespace epulse::server {
namespace {

constexpr std::size_t kMaxUserChars = 128;
constexpr std::size_t kMacBytes = 32;
constexpr std::size_t kMacChars = (kMacBytes * 8 + 5) / 6;
using MacText = std::array<char, kMacChars>;

MacText mac_of(std::string_view text, std::string_view key) {
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::array<std::uint8_t, kMacBytes + 1>
      mac{};  // one byte more, so that six bits are always there
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), mac.data(), nullptr);
  MacText out{};
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::size_t bit = i * 6;
    const unsigned pair = unsigned{mac[bit / 8]} << 8U | mac[bit / 8 + 1];
    out[i] = kAlphabet[pair >> (10U - bit % 8) & 63U];
  }
  return out;
}

bool is_user(std::string_view user) {
  return !user.empty() && user.size() <= kMaxUserChars &&
         std::all_of(user.begin(), user.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                  c == '-' || c == '_' || c == '~';
         });
}

TokenVerdict refused(std::string_view why) {
  return {{}, why};
}

}  // namespace

TokenVerdict verify_token(std::string_view token, std::string_view key, std::uint64_t now_s) {
  if (token.empty()) return refused("no token");
  const std::size_t first = token.find('.');
  const std::size_t last = token.rfind('.');
  if (first == last) return refused("not a token: USER.EXPIRY.MAC is wanted");
  const std::string_view signed_part = token.substr(0, last);
  const std::string_view mac = token.substr(last + 1);
  const std::string_view user = token.substr(0, first);
  const std::string_view expiry = signed_part.substr(first + 1);
  const MacText expected = mac_of(signed_part, key);
  // In constant time: how far it was right must not show.
  if (mac.size() != expected.size() ||
      CRYPTO_memcmp(mac.data(), expected.data(), expected.size()) != 0) {
    return refused("wrong signature");
  }
  std::uint64_t expiry_s = 0;
  const auto [end, error] = std::from_chars(expiry.data(), expiry.data() + expiry.size(), expiry_s);
  if (error != std::errc{} || end != expiry.data() + expiry.size()) return refused("bad expiry");
  if (!is_user(user)) return refused("bad user");
  if (now_s >= expiry_s) return refused("expired");
  return {user, {}};
}

std::string issue_token(std::string_view user, std::uint64_t expiry_s, std::string_view key) {
  std::string token(user);
  token += '.';
  token += std::to_string(expiry_s);
  const MacText mac = mac_of(token, key);
  token += '.';
  token.append(mac.begin(), mac.end());
  return token;
}

std::string_view token_of(std::string_view authorization, std::string_view target) {
  constexpr std::string_view kScheme = "Bearer ";
  if (authorization.size() > kScheme.size() &&
      ws::equal_ignoring_case(authorization.substr(0, kScheme.size()), kScheme)) {
    return authorization.substr(kScheme.size());
  }
  constexpr std::string_view kParameter = "token=";
  const std::size_t mark = target.find('?');
  std::string_view query = mark == std::string_view::npos ? "" : target.substr(mark + 1);
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    if (pair.starts_with(kParameter)) return pair.substr(kParameter.size());
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
  }
  return {};
}

}  // namespace epulse::server
