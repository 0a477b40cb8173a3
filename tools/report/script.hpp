#pragma once

#include <cstdio>
#include <map>
#include <string>

#include "agent/export/record_reader.hpp"

namespace epulse::report {

// What `epulse script` prints: a line for each single wait, interval of a worker, connection, loss
// and meta, in the file's order. As JSON each is an object of docs/schemas/epulse-script.json; else
// columns that stay as they are, for grep and awk.
class Script final : public record::RecordVisitor {
 public:
  Script(std::FILE* out, bool json) : out_(out), json_(json) {}

  void on_meta(const record::Meta& meta) override;
  void on_interval(const model::EpollSnapshot& interval, const record::ThreadNames& names) override;
  void on_waits(std::span<const epoll_wait_record> waits) override;
  void on_connections(uint64_t time_ns,
                      std::span<const record::WatchedConnection> connections) override;

 private:
  void put(const std::string& line);
  std::string name_of(uint32_t id) const;

  std::FILE* out_;
  bool json_;
  record::ThreadNames names_;
  std::map<uint64_t, model::WorkerKey> instances_;  // by epoll id, whoever waited last
};

}  // namespace epulse::report
