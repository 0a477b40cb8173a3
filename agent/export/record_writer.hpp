#pragma once

#include <string>
#include <vector>

#include "agent/export/record_format.hpp"

namespace epulse::record {

// Writes a record file, block by block, so that what was written before a crash stays readable.
// Throws Error when the file cannot be created or written (a full disk).
class RecordWriter {
 public:
  explicit RecordWriter(std::string path);
  ~RecordWriter();
  RecordWriter(const RecordWriter&) = delete;
  RecordWriter& operator=(const RecordWriter&) = delete;

  void meta(const Meta& meta);
  void interval(const model::EpollSnapshot& interval, const ThreadNames& names);
  void waits(const std::vector<epoll_wait_record>& waits);
  void finish();
  uint64_t bytes() const { return bytes_; }

 private:
  void block(BlockType type, const std::string& payload);
  void write_all(const std::string& data);

  std::string path_;
  int fd_;
  uint64_t bytes_ = 0;
};

}  // namespace epulse::record
