#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// Record files taken apart and put together with right checksums, so that a change to a payload
// reaches the decoder behind them. Knows the format of agent/export/record_format.hpp by itself.
namespace epulse::fuzz {

struct RecordBlock {
  uint32_t type = 0;
  std::string payload;
};

// Up to the first block that does not fit; checksums are not looked at.
std::vector<RecordBlock> split_record_file(std::string_view contents);
std::string join_record_file(const std::vector<RecordBlock>& blocks);

}  // namespace epulse::fuzz
