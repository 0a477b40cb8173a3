#include "server/access/address_limits.hpp"

#include <netinet/in.h>

#include <algorithm>

namespace epulse::server {

PeerKey peer_key(const sockaddr& address) {
  PeerKey key;
  if (address.sa_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    // In the form of the second half of an IPv4-mapped address; no /64 of the Internet is like it.
    key.bytes[2] = key.bytes[3] = 0xFF;
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(&v4.sin_addr);
    std::copy_n(bytes, 4, key.bytes.begin() + 4);
  } else if (address.sa_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address).sin6_addr;
    const std::uint8_t* bytes = v6.s6_addr;
    std::copy_n(IN6_IS_ADDR_V4MAPPED(&v6) ? bytes + 8 : bytes, key.bytes.size(), key.bytes.begin());
  }
  return key;
}

AddressLimits::AddressLimits(const AddressLimitOptions& options)
    : options_(options),
      burst_(options.connects_at_once != 0 ? static_cast<double>(options.connects_at_once)
                                           : std::max(1.0, 2 * options.connects_per_second)) {}

AddressLimits::Shard& AddressLimits::shard_of(const PeerKey& peer) {
  // The low bits choose the bucket within the shard's table.
  return shards_[Hash{}(peer) >> 32U & (shards_.size() - 1)];
}

double AddressLimits::credit_at(const Peer& peer, std::uint64_t now_ns) const {
  const double passed_ns = now_ns > peer.at_ns ? static_cast<double>(now_ns - peer.at_ns) : 0;
  return std::min(burst_, peer.credit + passed_ns * 1e-9 * options_.connects_per_second);
}

bool AddressLimits::enter(const PeerKey& key, std::uint64_t now_ns) {
  if (!enabled()) return true;
  Shard& shard = shard_of(key);
  const std::lock_guard lock(shard.mutex);
  if (shard.peers.size() >= shard.sweep_at) sweep(shard, now_ns);
  Peer& peer = shard.peers.try_emplace(key, Peer{0, burst_, now_ns}).first->second;
  if (options_.connections != 0 && peer.connections >= options_.connections) return false;
  if (options_.connects_per_second != 0) {
    const double credit = credit_at(peer, now_ns);
    if (credit < 1) return false;
    peer.credit = credit - 1;
    peer.at_ns = now_ns;
  }
  ++peer.connections;
  return true;
}

void AddressLimits::leave(const PeerKey& key, std::uint64_t now_ns) {
  if (!enabled()) return;
  Shard& shard = shard_of(key);
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.peers.find(key);
  if (found == shard.peers.end()) return;
  --found->second.connections;
  // Only its debts are worth remembering.
  if (found->second.connections == 0 && credit_at(found->second, now_ns) >= burst_) {
    shard.peers.erase(found);
  }
}

// At a growing distance, so that it costs little per call.
void AddressLimits::sweep(Shard& shard, std::uint64_t now_ns) const {
  std::erase_if(shard.peers, [&](const auto& item) {
    return item.second.connections == 0 && credit_at(item.second, now_ns) >= burst_;
  });
  shard.sweep_at = std::max<std::size_t>(64, 2 * shard.peers.size());
}

std::size_t AddressLimits::size() const {
  std::size_t size = 0;
  for (const Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    size += shard.peers.size();
  }
  return size;
}

}  // namespace epulse::server
