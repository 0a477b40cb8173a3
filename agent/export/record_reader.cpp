#include "agent/export/record_reader.hpp"

#include <algorithm>
#include <cstring>
#include <optional>

#include "agent/error.hpp"
#include "agent/export/checksum.hpp"

namespace epulse::record {
namespace {

constexpr size_t kSearchBytes = 64U << 10;
constexpr uint64_t kProgressBytes = 16U << 20;
constexpr size_t kDamagesTold = 3;

struct Block {
  BlockType type;
  std::string_view payload;
};

// What may be read in vain, so that a file made of headers that claim all of the rest does not take
// time by the square of its size.
constexpr uint64_t kVainBytesMin = kPayloadBytesMax;
constexpr uint64_t kVainShare = 16;

// Nullopt when no intact block begins there, or `vain_bytes` do not suffice to look.
std::optional<Block> block_at(RecordSource& source, uint64_t at, uint64_t& vain_bytes) {
  const std::string_view header = source.view(at, kBlockHeaderBytes);
  if (header.size() < kBlockHeaderBytes || !header.starts_with(kBlockMarker)) return {};
  uint32_t fields[3];  // type, payload bytes, checksum
  memcpy(fields, header.data() + kBlockMarker.size(), sizeof(fields));
  const uint32_t size = fields[1];
  if (size > kPayloadBytesMax || size > source.size() - at - kBlockHeaderBytes) return {};
  if (size > vain_bytes) return {};
  const std::string_view whole = source.view(at, kBlockHeaderBytes + size);
  if (whole.size() < kBlockHeaderBytes + size) return {};
  const std::string_view payload = whole.substr(kBlockHeaderBytes);
  if (block_checksum(whole.substr(kBlockMarker.size(), 8), payload) != fields[2]) {
    vain_bytes -= size;
    return {};
  }
  return Block{static_cast<BlockType>(fields[0]), payload};
}

bool magic_at(RecordSource& source, uint64_t at) {
  return source.view(at, kMagic.size()) == kMagic;
}

// The first byte from `at` on where an intact block or another file begins; the size of the file
// when there is none.
uint64_t find_intact(RecordSource& source, uint64_t at, uint64_t& vain_bytes) {
  while (at < source.size()) {
    const std::string_view part = source.view(at, kSearchBytes);
    const size_t marker = part.find(kBlockMarker);
    const size_t found = std::min(marker, part.substr(0, marker).find(kMagic));
    if (found != std::string_view::npos) {
      at += found;
      if (magic_at(source, at) || block_at(source, at, vain_bytes)) return at;
      ++at;
    } else if (part.size() < kSearchBytes) {
      break;
    } else {
      at += part.size() - kMagic.size();  // one may lie across the seam
    }
  }
  return source.size();
}

void add_damage(RecordCondition& condition, Damage damage) {
  condition.damaged_bytes += damage.bytes;
  Damage* last = condition.damages.empty() ? nullptr : &condition.damages.back();
  if (last != nullptr && last->at + last->bytes == damage.at) {
    last->bytes += damage.bytes;
    return;
  }
  ++condition.damaged_places;
  if (condition.damages.size() < kDamagesKept) condition.damages.push_back(damage);
}

}  // namespace

std::string text_of(const RecordCondition& condition) {
  if (condition.damaged_places == 0) return condition.ended ? "" : "cut short: it has no end block";
  std::string text = fmt::format("{} damaged {}, {} of {} bytes:", condition.damaged_places,
                                 condition.damaged_places == 1 ? "place" : "places",
                                 condition.damaged_bytes, condition.file_bytes);
  for (size_t i = 0; i < std::min(condition.damages.size(), kDamagesTold); ++i) {
    const Damage& damage = condition.damages[i];
    const bool at_end = damage.at + damage.bytes == condition.file_bytes;
    text += fmt::format("{} {} bytes from byte {} on{}", i == 0 ? "" : ",", damage.bytes, damage.at,
                        at_end ? " (cut short)" : "");
  }
  return condition.damaged_places > kDamagesTold ? text + ", ..." : text;
}

RecordCondition scan_recording(RecordSource& source, const std::string& name,
                               RecordVisitor& visitor,
                               const std::function<void(double)>& progress) {
  if (!magic_at(source, 0)) {
    fail("{} is not an epulse recording{}; `epulse record -o FILE` makes one", name,
         source.view(0, 6) == kMagic.substr(0, 6) ? " that this version reads" : "");
  }
  RecordCondition condition;
  uint64_t at = 0;
  uint64_t next_progress = kProgressBytes;
  uint64_t vain_bytes = std::max(kVainBytesMin, kVainShare * source.size());
  while (at < source.size()) {
    if (progress && at >= next_progress) {
      progress(static_cast<double>(at) / static_cast<double>(source.size()));
      next_progress = at + kProgressBytes;
    }
    if (magic_at(source, at)) {
      at += kMagic.size();
      condition.ended = false;
      continue;
    }
    const std::optional<Block> block = block_at(source, at, vain_bytes);
    uint64_t next = 0;
    if (block) {
      next = at + kBlockHeaderBytes + block->payload.size();
      condition.ended = block->type == BlockType::kEnd;
      if (decode_block(block->type, block->payload, visitor)) {
        at = next;
        continue;
      }
    } else {
      next = find_intact(source, at + 1, vain_bytes);
    }
    add_damage(condition, {at, next - at});
    condition.ended = false;
    at = next;
  }
  condition.file_bytes = source.size();
  return condition;
}

}  // namespace epulse::record
