#include "agent/model/wait_record.hpp"

#include <cstring>

namespace epulse::model {

std::optional<epoll_wait_record> WaitDecoder::decode(const void* data, size_t bytes) {
  epoll_wait_record record;
  if (bytes < sizeof(record)) {
    ++malformed_;
    return std::nullopt;
  }
  memcpy(&record, data, sizeof(record));
  return record;
}

}  // namespace epulse::model
