#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace epulse::record {

// The bytes of a record file, read where they are wanted.
class RecordSource {
 public:
  RecordSource() = default;
  virtual ~RecordSource() = default;
  RecordSource(const RecordSource&) = delete;
  RecordSource& operator=(const RecordSource&) = delete;

  // `bytes` from `at` on, fewer only at the end; valid until the next call.
  virtual std::string_view view(uint64_t at, size_t bytes) = 0;
  virtual uint64_t size() const = 0;
};

class MemorySource final : public RecordSource {
 public:
  explicit MemorySource(std::string_view contents) : contents_(contents) {}
  std::string_view view(uint64_t at, size_t bytes) override {
    return at >= contents_.size() ? std::string_view{} : contents_.substr(at, bytes);
  }
  uint64_t size() const override { return contents_.size(); }

 private:
  std::string_view contents_;
};

// Keeps one window in memory, whatever the size of the file. What is appended after it was opened
// is not seen.
class FileSource final : public RecordSource {
 public:
  // Throws Error when the file cannot be read.
  explicit FileSource(std::string path);
  ~FileSource() override;

  std::string_view view(uint64_t at, size_t bytes) override;
  uint64_t size() const override { return size_; }

 private:
  std::string path_;
  int fd_;
  uint64_t size_ = 0;
  uint64_t window_at_ = 0;
  std::string window_;
};

}  // namespace epulse::record
