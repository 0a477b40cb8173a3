#include "server/session/file_limit.hpp"

#include <sys/resource.h>

namespace epulse::server {
namespace {

constexpr std::size_t kReservedFiles = 64;  // ours, besides those of connections
constexpr std::size_t kFilesPerWorker = 4;

}  // namespace

std::size_t raise_file_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

std::size_t connections_that_fit(std::size_t file_limit, EngineKind engine, std::size_t workers) {
  const std::size_t reserved = kReservedFiles + kFilesPerWorker * workers;
  const std::size_t fit = file_limit > 2 * reserved ? file_limit - reserved : reserved;
  return engine == EngineKind::kUring ? fit * workers : fit;
}

}  // namespace epulse::server
