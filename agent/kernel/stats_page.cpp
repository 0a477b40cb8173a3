#include "agent/kernel/stats_page.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace epulse::kernel {

std::unique_ptr<StatsPage> StatsPage::open(pid_t pid) {
  struct stat process {};
  if (stat(fmt::format("/proc/{}", pid).c_str(), &process) != 0) return nullptr;
  const std::string name = fmt::format("/epulse-ws.{}", pid);
  const int fd = shm_open(name.c_str(), O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return nullptr;
  struct stat file {};
  epulse_stats_header header{};
  const bool ours = fstat(fd, &file) == 0 && file.st_uid == process.st_uid &&
                    pread(fd, &header, sizeof(header), 0) == sizeof(header) &&
                    header.magic == EPULSE_STATS_MAGIC && header.version == EPULSE_STATS_VERSION &&
                    header.pid == static_cast<__u32>(pid) &&
                    header.page_bytes == EPULSE_STATS_PAGE_BYTES &&
                    (header.workers + 1LL) * EPULSE_STATS_PAGE_BYTES <= file.st_size;
  std::unique_ptr<StatsPage> page(new StatsPage(fd, header.workers));
  return ours ? std::move(page) : nullptr;
}

StatsPage::~StatsPage() {
  close(fd_);
}

std::vector<epulse_stats_worker> StatsPage::read() const {
  std::vector<epulse_stats_worker> workers(workers_);
  for (size_t i = 0; i < workers.size(); ++i) {
    const auto at = static_cast<off_t>((i + 1) * EPULSE_STATS_PAGE_BYTES);
    if (pread(fd_, &workers[i], sizeof(workers[i]), at) != sizeof(workers[i])) return {};
  }
  return workers;
}

}  // namespace epulse::kernel
