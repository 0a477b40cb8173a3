#include "tests/fuzz/record_blocks.hpp"

#include <zlib.h>

#include <cstring>

#include "agent/export/record_format.hpp"

namespace epulse::fuzz {
namespace {

std::string bytes_of(uint32_t value) {
  return {reinterpret_cast<const char*>(&value), sizeof(value)};
}

uint32_t checksum(const std::string& bytes) {
  return static_cast<uint32_t>(
      crc32(0, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(bytes.size())));
}

}  // namespace

std::vector<RecordBlock> split_record_file(std::string_view contents) {
  std::vector<RecordBlock> blocks;
  contents.remove_prefix(std::min(contents.size(), record::kMagic.size()));
  while (contents.size() >= record::kBlockHeaderBytes) {
    uint32_t header[2];
    memcpy(header, contents.data() + record::kBlockMarker.size(), sizeof(header));
    contents.remove_prefix(record::kBlockHeaderBytes);
    if (header[1] > contents.size()) break;
    blocks.push_back({header[0], std::string(contents.substr(0, header[1]))});
    contents.remove_prefix(header[1]);
  }
  return blocks;
}

std::string join_record_file(const std::vector<RecordBlock>& blocks) {
  std::string contents(record::kMagic);
  for (const auto& [type, payload] : blocks) {
    std::string head = bytes_of(type);
    head += bytes_of(static_cast<uint32_t>(payload.size()));
    std::string checked = head;
    checked += payload;
    contents += record::kBlockMarker;
    contents += head;
    contents += bytes_of(checksum(checked));
    contents += payload;
  }
  return contents;
}

}  // namespace epulse::fuzz
