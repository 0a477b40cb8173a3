#include "server/session/file_limit.hpp"

#include <fcntl.h>
#include <sys/resource.h>

#include <algorithm>

#include "common/unique_fd.hpp"

namespace epulse::server {
namespace {

constexpr std::size_t kReservedFiles = 64;  // ours, besides those of connections
constexpr std::size_t kFilesPerWorker = 4;
constexpr std::size_t kMaxTable = 65536;  // half a megabyte of the kernel's memory

}  // namespace

std::size_t raise_file_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

void grow_file_table(std::size_t file_limit) {
  const UniqueFd any(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const auto last = static_cast<int>(std::min(file_limit, kMaxTable)) - 1;
  const UniqueFd high(fcntl(any.get(), F_DUPFD_CLOEXEC, last));  // The table never shrinks.
}

std::size_t connections_that_fit(std::size_t file_limit, EngineKind engine, std::size_t workers) {
  const std::size_t reserved = kReservedFiles + kFilesPerWorker * workers;
  const std::size_t fit = file_limit > 2 * reserved ? file_limit - reserved : reserved;
  return engine == EngineKind::kUring ? fit * workers : fit;
}

}  // namespace epulse::server
