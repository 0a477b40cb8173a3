#include "agent/export/record_source.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "agent/error.hpp"

namespace epulse::record {
namespace {

constexpr uint64_t kWindowBytes = 1U << 20;

}  // namespace

FileSource::FileSource(std::string path)
    : path_(std::move(path)), fd_(open(path_.c_str(), O_RDONLY | O_CLOEXEC)) {
  struct stat status {};
  if (fd_ < 0 || fstat(fd_, &status) != 0) {
    const int error = errno;
    if (fd_ >= 0) close(fd_);
    fail("cannot read {}: {}; `epulse record -o FILE` makes a recording", path_, errno_text(error));
  }
  if (!S_ISREG(status.st_mode)) {
    close(fd_);
    fail("cannot read {}: it is no regular file; copy what it gives into one", path_);
  }
  size_ = static_cast<uint64_t>(status.st_size);
}

FileSource::~FileSource() {
  close(fd_);
}

std::string_view FileSource::view(uint64_t at, size_t bytes) {
  if (at >= size_) return {};
  bytes = static_cast<size_t>(std::min<uint64_t>(bytes, size_ - at));
  if (at < window_at_ || at + bytes > window_at_ + window_.size()) {
    window_at_ = at;
    window_.resize(std::max<uint64_t>(bytes, std::min(kWindowBytes, size_ - at)));
    size_t done = 0;
    while (done < window_.size()) {
      const ssize_t got =
          pread(fd_, window_.data() + done, window_.size() - done, static_cast<off_t>(at + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) fail("cannot read {} at byte {}: {}", path_, at + done, errno_text(errno));
      if (got == 0) break;
      done += static_cast<size_t>(got);
    }
    window_.resize(done);
    // Somebody has made it shorter meanwhile.
    if (done < bytes) size_ = at + done;
  }
  return std::string_view(window_).substr(at - window_at_, bytes);
}

}  // namespace epulse::record
