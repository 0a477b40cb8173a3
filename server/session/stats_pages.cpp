#include "server/session/stats_pages.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <iterator>
#include <string>
#include <string_view>
#include <system_error>

#include "common/unique_fd.hpp"
#include "server/contract/stats_writer.hpp"
#include "server/error.hpp"
#include "server/session/counters.hpp"

namespace epulse::server {
namespace {

constexpr mode_t kMode = 0644;

static_assert(sizeof(epulse_stats_worker) ==
                  8 + (kCounters.size() + 1 + EPULSE_STATS_HANDSHAKE_BUCKETS) * sizeof(__u64),
              "a counter of the stats page is missing in counters.hpp");

// A server holds its page's lock for life, so a page that can be locked is a dead server's,
// whatever pid namespace it was in. Servers that were killed could not unlink theirs. Only what
// nobody can be: a name without a process.
void unlink_pages_of_the_dead() {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/dev/shm", ignored)) {
    const std::string name = entry.path().filename().string();
    constexpr std::string_view kPrefix = "epulse-ws.";
    if (!name.starts_with(kPrefix)) continue;
    const std::string pid = name.substr(kPrefix.size());
    if (pid.empty() || pid.find_first_not_of("0123456789") != std::string::npos) continue;
    const UniqueFd page(shm_open(("/" + name).c_str(), O_RDWR, 0));
    if (page && flock(page.get(), LOCK_EX | LOCK_NB) == 0) shm_unlink(("/" + name).c_str());
  }
}

// A new page, locked. Empty with errno set when it cannot be had.
UniqueFd make_page(const std::string& name) {
  constexpr int kTries = 10;
  for (int tries = 0; tries < kTries; ++tries) {
    UniqueFd page(shm_open(name.c_str(), O_CREAT | O_EXCL | O_RDWR, kMode));
    if (!page) return page;
    flock(page.get(), LOCK_EX);
    // Between the two a server that starts just now may have taken it for a dead one's.
    struct stat status {};
    if (fstat(page.get(), &status) == 0 && status.st_nlink != 0) return page;
  }
  errno = EBUSY;
  return {};
}

}  // namespace

StatsPages::StatsPages(std::size_t workers)
    : name_(fmt::format("/epulse-ws.{}", getpid())),
      workers_(workers),
      bytes_((workers + 1) * EPULSE_STATS_PAGE_BYTES) {
  unlink_pages_of_the_dead();
  fd_ = make_page(name_);
  if (!fd_) {
    fail(
        "cannot create shared memory {}: {}; is /dev/shm writable, and not shared with a server of "
        "the same pid in another pid namespace?",
        name_, errno_text(errno));
  }
  void* base = MAP_FAILED;
  // fchmod: whoever watches us may have another uid, and the umask must not keep it out.
  if (fchmod(fd_.get(), kMode) == 0 && ftruncate(fd_.get(), static_cast<off_t>(bytes_)) == 0) {
    base = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, fd_.get(), 0);
  }
  if (base == MAP_FAILED) {
    const int code = errno;
    shm_unlink(name_.c_str());
    fail("cannot map shared memory {}: {}; is /dev/shm full?", name_, errno_text(code));
  }
  base_ = static_cast<char*>(base);
  auto& header = *reinterpret_cast<epulse_stats_header*>(base_);
  header.version = EPULSE_STATS_VERSION;
  header.pid = static_cast<__u32>(getpid());
  header.workers = static_cast<__u32>(workers);
  header.page_bytes = EPULSE_STATS_PAGE_BYTES;
  // The magic last: who sees it sees the rest.
  std::atomic_ref<__u64>(header.magic).store(EPULSE_STATS_MAGIC, std::memory_order_release);
}

StatsPages::~StatsPages() {
  munmap(base_, bytes_);
  shm_unlink(name_.c_str());
}

epulse_stats_worker& StatsPages::worker(std::size_t index) {
  return *reinterpret_cast<epulse_stats_worker*>(base_ + (index + 1) * EPULSE_STATS_PAGE_BYTES);
}

const epulse_stats_worker& StatsPages::worker(std::size_t index) const {
  return *reinterpret_cast<const epulse_stats_worker*>(base_ +
                                                       (index + 1) * EPULSE_STATS_PAGE_BYTES);
}

std::vector<epulse_stats_worker> StatsPages::read() const {
  std::vector<epulse_stats_worker> copies(workers_);
  for (std::size_t k = 0; k < workers_; ++k) {
    const epulse_stats_worker& page = worker(k);
    copies[k].tid = stat_read(page.tid);
    copies[k].cpu = stat_read(page.cpu);
    for (const Counter& counter : kCounters) {
      copies[k].*counter.field = stat_read(page.*counter.field);
    }
    copies[k].handshake_ns = stat_read(page.handshake_ns);
    for (std::size_t i = 0; i < EPULSE_STATS_HANDSHAKE_BUCKETS; ++i) {
      copies[k].handshake_buckets[i] = stat_read(page.handshake_buckets[i]);
    }
  }
  return copies;
}

std::string StatsPages::text() const {
  std::string out;
  auto append = std::back_inserter(out);
  for (std::size_t k = 0; k < workers_; ++k) {
    const epulse_stats_worker& page = worker(k);
    fmt::format_to(append, "worker {} tid {} cpu {}\n", k, stat_read(page.tid),
                   stat_read(page.cpu));
    for (const Counter& counter : kCounters) {
      fmt::format_to(append, "worker {} {} {}\n", k, counter.name, stat_read(page.*counter.field));
    }
  }
  return out;
}

}  // namespace epulse::server
