#include "server/tls/early_gate.hpp"

#include <algorithm>
#include <string_view>

namespace epulse::tls {

std::span<std::uint8_t> EarlyGate::admit(std::span<const std::uint8_t> early) {
  held_.insert(held_.end(), early.begin(), early.end());
  if (decided_) return {};
  const std::string_view text(reinterpret_cast<const char*>(held_.data()), held_.size());
  const std::size_t end = text.find("\r\n\r\n");
  if (end == std::string_view::npos) return {};
  decided_ = true;
  const std::string_view head = text.substr(0, end + 4);
  if (is_safe(head)) admitted_ = head.size();
  return std::span(held_).first(admitted_);
}

// RFC 9112, 3: method, target and version, with one space between them.
bool EarlyGate::is_safe(std::string_view head) const {
  constexpr std::string_view kMethod = "GET ";
  if (!head.starts_with(kMethod)) return false;
  const std::string_view target = head.substr(kMethod.size(), head.find('\r') - kMethod.size());
  const std::string_view path = target.substr(0, target.find_first_of(" ?"));
  return std::find(safe_paths_.begin(), safe_paths_.end(), path) != safe_paths_.end();
}

std::span<std::uint8_t> EarlyGate::release() {
  return std::span(held_).subspan(admitted_);
}

}  // namespace epulse::tls
