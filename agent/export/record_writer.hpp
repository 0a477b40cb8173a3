#pragma once

#include <span>
#include <string>
#include <string_view>

#include "agent/export/record_format.hpp"
#include "common/unique_fd.hpp"

namespace epulse::record {

// Writes a record file, block by block, so that what was written before a crash stays readable.
// Throws Error when the file cannot be created or written (a full disk).
//
// As a ring it keeps what was written last, between half of `ring_bytes` and all of them: when the
// file holds half, it becomes FILE.before, in place of the one before it, and a new one is begun.
// finish() puts the two together. After a crash both are there, and `cat` does that.
class RecordWriter {
 public:
  explicit RecordWriter(std::string path, uint64_t ring_bytes = 0);
  // Into a file that is open, and empty; `path` is for messages.
  RecordWriter(std::string path, UniqueFd file);
  ~RecordWriter();
  RecordWriter(const RecordWriter&) = delete;
  RecordWriter& operator=(const RecordWriter&) = delete;

  void meta(const Meta& meta);
  void interval(const model::EpollSnapshot& interval, const ThreadNames& names);
  void waits(std::span<const epoll_wait_record> waits);
  void connections(uint64_t time_ns, std::span<const WatchedConnection> connections);
  void finish();
  uint64_t bytes() const { return before_bytes_ + bytes_; }
  uint64_t dropped_bytes() const { return dropped_bytes_; }  // that made room
  // How many files a ring has begun: what was written once is lost when the second after it begins.
  uint64_t files() const { return files_; }

 private:
  void open_file();
  void begin_file();
  void block(BlockType type, std::string_view payload);
  void write_all(std::string_view data);
  void start_next_file();
  void join_files();
  void append_file(const std::string& path, uint64_t bytes);

  std::string path_;
  std::string before_path_;
  int fd_ = -1;
  uint64_t ring_bytes_;
  Meta meta_;
  uint64_t bytes_ = 0;         // in the file
  uint64_t before_bytes_ = 0;  // in the one before
  uint64_t dropped_bytes_ = 0;
  uint64_t files_ = 0;
};

// Where a ring keeps its older half.
std::string path_before(const std::string& path);

}  // namespace epulse::record
