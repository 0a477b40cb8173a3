#include "agent/kernel/stats_page.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

namespace epulse::kernel {

std::unique_ptr<StatsPage> StatsPage::open(pid_t pid) {
  const std::string name = fmt::format("/epulse-ws.{}", pid);
  const int fd = shm_open(name.c_str(), O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return nullptr;
  struct stat status {};
  void* memory = MAP_FAILED;
  if (fstat(fd, &status) == 0 && status.st_size >= EPULSE_STATS_PAGE_BYTES) {
    memory = mmap(nullptr, static_cast<size_t>(status.st_size), PROT_READ, MAP_SHARED, fd, 0);
  }
  close(fd);
  if (memory == MAP_FAILED) return nullptr;
  std::unique_ptr<StatsPage> page(
      new StatsPage(static_cast<const char*>(memory), static_cast<size_t>(status.st_size)));
  epulse_stats_header header;
  memcpy(&header, memory, sizeof(header));
  const bool ours = header.magic == EPULSE_STATS_MAGIC && header.version == EPULSE_STATS_VERSION &&
                    header.pid == static_cast<__u32>(pid) &&
                    header.page_bytes == EPULSE_STATS_PAGE_BYTES &&
                    (header.workers + 1ULL) * header.page_bytes <= page->bytes_;
  return ours ? std::move(page) : nullptr;
}

StatsPage::~StatsPage() {
  munmap(const_cast<char*>(memory_), bytes_);
}

std::vector<epulse_stats_worker> StatsPage::read() const {
  epulse_stats_header header;
  memcpy(&header, memory_, sizeof(header));
  std::vector<epulse_stats_worker> workers(header.workers);
  for (size_t i = 0; i < workers.size(); ++i) {
    memcpy(&workers[i], memory_ + (i + 1) * EPULSE_STATS_PAGE_BYTES, sizeof(workers[i]));
  }
  return workers;
}

}  // namespace epulse::kernel
