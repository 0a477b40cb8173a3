#include "server/ws/subprotocol.hpp"

#include <algorithm>
#include <array>

namespace epulse::ws {

bool is_protocol_list(const ListField& field) {
  if (field.absent()) return true;
  std::array<std::string_view, kMaxProtocolsOffered> seen;
  std::size_t count = 0;
  ListReader reader(field);
  while (true) {
    const ListReader::Item item = reader.next();
    if (item != ListReader::Item::kElement) return item == ListReader::Item::kEnd;
    const auto end = seen.begin() + static_cast<std::ptrdiff_t>(count);
    if (count == seen.size() || std::find(seen.begin(), end, reader.name()) != end) return false;
    seen[count++] = reader.name();
  }
}

std::string_view choose_protocol(const ListField& offered, std::span<const std::string> ours) {
  ListReader reader(offered);
  while (reader.next() == ListReader::Item::kElement) {
    const auto found = std::find(ours.begin(), ours.end(), reader.name());
    if (found != ours.end()) return *found;
  }
  return {};
}

}  // namespace epulse::ws
