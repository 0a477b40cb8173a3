#include "agent/actuate/journal.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include "agent/actuate/lock.hpp"
#include "agent/actuate/origin.hpp"
#include "agent/error.hpp"

namespace epulse::actuate {
namespace {

constexpr const char* kRemedy = "nothing is changed without a journal";
constexpr const char* kDamaged = "journal.damaged";
constexpr int kDamagedMax = 100;
constexpr size_t kRecordBytes = 4096;          // the longest that there is, and some
constexpr off_t kGrownBytes = off_t{1} << 20;  // when it is worth writing anew

std::string read_all(int fd, const std::string& path) {
  std::string text;
  std::array<char, 65536> chunk{};
  for (;;) {
    const ssize_t got = pread(fd, chunk.data(), chunk.size(), static_cast<off_t>(text.size()));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("cannot read the journal {}: {}; {}", path, errno_text(errno), kRemedy);
    if (got == 0) return text;
    text.append(chunk.data(), static_cast<size_t>(got));
  }
}

UniqueFd open_file(int dir_fd, const std::string& dir, const char* name, int flags) {
  UniqueFd fd(openat(dir_fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | flags, 0600));
  const int error = errno;
  // Read-only by now, or immutable: what is in it can still be undone.
  if (!fd && (error == EROFS || error == EPERM || error == EACCES)) {
    fd = UniqueFd(openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    errno = error;
  }
  if (!fd) fail("cannot open {}/{}: {}; {}", dir, name, errno_text(errno), kRemedy);
  return fd;
}

void sync_directory(int dir_fd, const std::string& dir) {
  if (fsync(dir_fd) < 0) {
    fail("cannot make {} durable: {}; {}", dir, errno_text(errno), kRemedy);
  }
}

std::string lock_holder(int fd) {
  std::array<char, 32> text{};
  const ssize_t got = pread(fd, text.data(), text.size() - 1, 0);
  std::string pid(text.data(), got > 0 ? static_cast<size_t>(got) : 0);
  pid.erase(std::min(pid.find_first_of(" \n"), pid.size()));
  return pid.empty() ? "unknown" : pid;
}

UniqueFd take_lock(int dir_fd, const std::string& dir) {
  UniqueFd fd = open_file(dir_fd, dir, "lock", 0);
  if (!lock(fd.get())) {
    if (errno != EWOULDBLOCK) fail("cannot lock {}/lock: {}; {}", dir, errno_text(errno), kRemedy);
    fail(
        "epulsed (pid {}) is running and holds the journal {}/journal; if it watches another "
        "process, give this one a --state-dir of its own, else stop it (it restores everything on "
        "exit)",
        lock_holder(fd.get()), dir);
  }
  // For lock_holder() only: on a full disk an undo must still be possible. Padded, to overwrite in
  // place.
  const std::string pid = fmt::format("{:<11}\n", getpid());
  [[maybe_unused]] const ssize_t put = pwrite(fd.get(), pid.data(), pid.size(), 0);
  return fd;
}

}  // namespace

UniqueFd open_state_dir(const std::string& dir) {
  if (mkdir(dir.c_str(), 0700) < 0 && errno != EEXIST) {
    fail(
        "cannot create the state directory {}: {}; {}; give a place that can be "
        "written by --state-dir (agent.state_dir)",
        dir, errno_text(errno), kRemedy);
  }
  UniqueFd fd(open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) {
    fail(
        "cannot open the state directory {}: {}; {}; give another by --state-dir (agent.state_dir)",
        dir, errno_text(errno), kRemedy);
  }
  struct stat status {};
  if (fstat(fd.get(), &status) < 0) fail("cannot stat {}: {}", dir, errno_text(errno));
  if ((status.st_mode & 022U) != 0 || (status.st_uid != 0 && status.st_uid != geteuid())) {
    fail(
        "the state directory {} can be written by others (owner {}, mode {:o}); {}; make it 0700 "
        "and "
        "your own",
        dir, status.st_uid, status.st_mode & 07777U, kRemedy);
  }
  return fd;
}

Journal::Journal(const std::string& state_dir)
    : dir_(state_dir), path_(state_dir + "/journal"), dir_fd_(open_state_dir(state_dir)) {
  lock_ = take_lock(dir_fd_.get(), dir_);
  file_ = open_file(dir_fd_.get(), dir_, "journal", 0);
  writable_ = (fcntl(file_.get(), F_GETFL) & O_ACCMODE) == O_RDWR;
  if (writable_) sync_directory(dir_fd_.get(), dir_);
  const std::string text = read_all(file_.get(), path_);
  size_ = static_cast<off_t>(text.size());
  state_ = replay(text, path_);
  if (!writable_) return;
  cut_torn_tail();
  if (state_.pending.empty() && size_ > 0) compact();
}

// Left there, it would be a damaged line once another follows.
void Journal::cut_torn_tail() {
  const off_t whole = size_ - static_cast<off_t>(state_.torn_bytes);
  if (whole == size_ || ftruncate(file_.get(), whole) < 0) return;
  size_ = whole;
  state_.ends_in_newline = true;
}

void Journal::require_writable() const {
  if (!writable_) fail("the journal {} can only be read; {}", path_, kRemedy);
  if (broken_) {
    fail(
        "the journal {} failed to reach the disk earlier; {}; restart epulsed when the disk is "
        "well",
        path_, kRemedy);
  }
}

// What stays behind where we are killed meanwhile has no newline, and is cut off at the next start.
void Journal::require_room() {
  require_writable();
  write_at_end(file_, size_, std::string(kRecordBytes, ' '));
  [[maybe_unused]] const int cut = ftruncate(file_.get(), size_);
}

uint64_t Journal::append_intent(const Change& change, std::string_view reason,
                                int64_t unix_time_s) {
  require_writable();
  IntentRecord record{state_.seq_max + 1, change, unix_time_s, std::string(reason), origin()};
  append(encode(record));
  state_.seq_max = record.seq;
  state_.pending.push_back(std::move(record));
  return state_.seq_max;
}

void Journal::mark(uint64_t seq, bool made) {
  const auto at = std::find_if(state_.pending.begin(), state_.pending.end(),
                               [&](const IntentRecord& p) { return p.seq == seq; });
  if (at == state_.pending.end()) return;
  at->made = false;
  try {
    append(encode(MarkRecord{seq, made}), false);
    at->made = made;
  } catch (const Error&) {
    // A full disk.
  }
}

void Journal::append_settled(uint64_t seq, SettledRecord::Kind kind, std::string_view why) {
  append(encode(SettledRecord{seq, kind, std::string(why)}));
  std::erase_if(state_.pending, [&](const IntentRecord& p) { return p.seq == seq; });
  if (state_.pending.empty()) {
    compact();
  } else if (size_ > std::max(kGrownBytes, 2 * shrunk_to_)) {
    shrink();
  }
}

bool Journal::is_held(const std::string& state_dir) {
  const UniqueFd fd(open((state_dir + "/lock").c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  return fd && flock(fd.get(), LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

std::vector<std::string> Journal::set_aside(const std::string& state_dir) {
  std::vector<std::string> paths;
  std::error_code error;  // Not there, or closed to us.
  for (std::filesystem::directory_iterator at(state_dir, error);
       !error && at != std::filesystem::directory_iterator(); at.increment(error)) {
    if (at->path().filename().string().starts_with(kDamaged)) paths.push_back(at->path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

JournalState Journal::read(const std::string& state_dir) {
  const std::string path = state_dir + "/journal";
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd && errno == ENOENT) return {};
  if (!fd) {
    const int error = errno;
    fail("cannot open the journal {}: {}{}", path, errno_text(error),
         error == EACCES ? "; be root, or who epulsed ran as" : "");
  }
  return replay(read_all(fd.get(), path), path);
}

void Journal::append(std::string line, bool durable) {
  if (!writable_) require_writable();
  // The first record must not continue a line that was cut short.
  if (!state_.ends_in_newline) line.insert(line.begin(), '\n');
  write_at_end(file_, size_, line);
  if (durable && fdatasync(file_.get()) < 0) {
    const int error = errno;
    broken_ = true;
    [[maybe_unused]] const int cut = ftruncate(file_.get(), size_);
    fail("cannot make the journal {} durable: {}; {}", path_, errno_text(error), kRemedy);
  }
  size_ += static_cast<off_t>(line.size());
  state_.ends_in_newline = true;
}

// All of it or nothing.
void Journal::write_at_end(const UniqueFd& file, off_t end, std::string_view text) const {
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t put =
        pwrite(file.get(), text.data() + done, text.size() - done, end + static_cast<off_t>(done));
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) {
      const int error = put < 0 ? errno : ENOSPC;
      // Part of a line would spoil the next one. If this fails too, that one overwrites it.
      [[maybe_unused]] const int cut = ftruncate(file.get(), end);
      fail("cannot write the journal {}: {}; {}", path_, errno_text(error), kRemedy);
    }
    done += static_cast<size_t>(put);
  }
}

// One change that stays in force must not keep all that came and went beside it. Where there is no
// room for a second file the first one grows on.
void Journal::shrink() {
  if (state_.has_damage || !writable_) return;
  std::string text;
  for (const IntentRecord& intent : state_.pending) {
    text += encode(intent);
    if (intent.made) text += encode(MarkRecord{intent.seq, true});
  }
  shrunk_to_ = size_;  // and not tried again at once
  try {
    UniqueFd file = open_file(dir_fd_.get(), dir_, "journal.new", O_TRUNC);
    write_at_end(file, 0, text);
    if (fdatasync(file.get()) < 0 ||
        renameat(dir_fd_.get(), "journal.new", dir_fd_.get(), "journal") < 0) {
      return;
    }
    file_ = std::move(file);
    size_ = shrunk_to_ = static_cast<off_t>(text.size());
    state_.ends_in_newline = true;
    sync_directory(dir_fd_.get(), dir_);
  } catch (const Error&) {
    // As it was: the name is the old file's until it is renamed over.
  }
}

// Under a name of its own: an earlier one is kept until somebody has looked at it.
void Journal::set_file_aside() const {
  for (int n = 1; n <= kDamagedMax; ++n) {
    const std::string name = n == 1 ? kDamaged : fmt::format("{}.{}", kDamaged, n);
    if (faccessat(dir_fd_.get(), name.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0) continue;
    if (renameat(dir_fd_.get(), "journal", dir_fd_.get(), name.c_str()) == 0) return;
    fail("cannot set the damaged journal {} aside: {}; {}", path_, errno_text(errno), kRemedy);
  }
  fail(
      "cannot set the damaged journal {} aside: {} of them are there; look at them and remove them",
      path_, kDamagedMax);
}

// Nothing is pending, so a crash in here loses nothing. A file with a damaged line is set aside
// instead of emptied: the line may tell an administrator what to put back by hand.
void Journal::compact() {
  if (state_.has_damage) {
    set_file_aside();
    broken_ = true;  // until there is a new one: this one has another name now
    file_ = open_file(dir_fd_.get(), dir_, "journal", O_EXCL);
    broken_ = false;
    sync_directory(dir_fd_.get(), dir_);
    state_.has_damage = false;
  } else if (ftruncate(file_.get(), 0) < 0) {
    fail("cannot empty the journal {}: {}; {}", path_, errno_text(errno), kRemedy);
  }
  size_ = shrunk_to_ = 0;
  state_.ends_in_newline = true;
}

}  // namespace epulse::actuate
