#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "tools/load/recording.hpp"

namespace epulse::load {

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using FilePtr = std::unique_ptr<std::FILE, CloseFile>;

// For what `purpose` says. Throws Error.
FilePtr create_file(const std::string& path, const std::string& purpose);
// Ends it. Throws Error when what was written did not all get there.
void finish_file(FilePtr file, const std::string& path);

struct RecordHead {
  std::string url;
  std::string mode;
  std::uint64_t start_ns = 0;
  std::uint64_t end_ns = 0;
};

// Writes what the threads recorded in the form of docs/load-record.md. All are thinned to the
// coarsest among them.
void write_record(std::FILE* file, const RecordHead& head,
                  const std::vector<Recording*>& recordings);

}  // namespace epulse::load
