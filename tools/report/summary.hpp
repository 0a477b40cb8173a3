#pragma once

#include <optional>

#include "agent/export/record_reader.hpp"
#include "tools/report/timeline.hpp"

namespace epulse::report {

// Single waits, counted, and the two that one wants to see.
struct WaitDigest {
  uint64_t count = 0;
  uint64_t deep = 0;
  uint64_t late = 0;
  uint64_t sampled = 0;
  std::optional<epoll_wait_record> deepest;
  std::optional<epoll_wait_record> latest;  // woken to running
  void add(const epoll_wait_record& wait);
};

// Adds names to those that are known, so many that no file fills the memory with them.
void keep_names(record::ThreadNames& known, const record::ThreadNames& names);

// What a report needs of a recording: as large for an hour as for a second.
class Summary final : public record::RecordVisitor {
 public:
  void on_meta(const record::Meta& meta) override;
  void on_interval(const model::EpollSnapshot& interval, const record::ThreadNames& names) override;
  void on_waits(std::span<const epoll_wait_record> waits) override;

  const record::Meta& meta() const { return meta_; }
  const record::ThreadNames& names() const { return names_; }
  const model::EpollSnapshot& total() const { return total_.total(); }
  const Timeline& timeline() const { return timeline_; }
  const WaitDigest& waits() const { return waits_; }
  size_t intervals() const { return intervals_; }

 private:
  record::Meta meta_;
  record::ThreadNames names_;
  model::EpollTotal total_;
  Timeline timeline_;
  WaitDigest waits_;
  size_t intervals_ = 0;
};

}  // namespace epulse::report
