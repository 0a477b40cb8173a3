#include "server/tls/ticket_keys.hpp"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <algorithm>
#include <utility>

namespace epulse::tls {
namespace {

std::optional<TicketKey> fresh_key(std::uint64_t now_s) {
  TicketKey key;
  key.since_s = now_s;
  if (RAND_bytes(key.name.data(), static_cast<int>(key.name.size())) != 1 ||
      RAND_priv_bytes(key.cipher.data(), static_cast<int>(key.cipher.size())) != 1 ||
      RAND_priv_bytes(key.mac.data(), static_cast<int>(key.mac.size())) != 1) {
    return std::nullopt;
  }
  return key;
}

}  // namespace

TicketKey::~TicketKey() {
  OPENSSL_cleanse(cipher.data(), cipher.size());
  OPENSSL_cleanse(mac.data(), mac.size());
}

bool TicketKeys::rotate_if_due(std::uint64_t now_s) {
  if (current_ && now_s < current_->since_s + kPeriodS) return true;
  std::optional<TicketKey> fresh = fresh_key(now_s);
  if (!fresh) return false;
  previous_ = std::exchange(current_, fresh);
  return true;
}

std::optional<TicketKey> TicketKeys::sealing(std::uint64_t now_s) {
  const std::lock_guard lock(mutex_);
  return rotate_if_due(now_s) ? current_ : std::nullopt;
}

std::optional<TicketKey> TicketKeys::opening(std::span<const std::uint8_t> name,
                                             std::uint64_t now_s) {
  const std::lock_guard lock(mutex_);
  for (const std::optional<TicketKey>& key : {std::cref(current_), std::cref(previous_)}) {
    if (key && std::equal(name.begin(), name.end(), key->name.begin(), key->name.end()) &&
        now_s < key->since_s + 2 * kPeriodS) {
      return key;
    }
  }
  return std::nullopt;
}

}  // namespace epulse::tls
