#include "agent/daemon/flight_recorder.hpp"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <filesystem>
#include <string_view>
#include <utility>

#include "agent/alerts/payload.hpp"
#include "agent/error.hpp"

namespace epulse::daemon {
namespace {

constexpr size_t kFollowedMax = 10;  // times after_s, of one recording
constexpr std::string_view kSuffix = ".data";
constexpr std::string_view kTimeShape = "00000000T000000Z-";

// A process may be called anything.
std::string file_part(std::string name) {
  std::replace_if(
      name.begin(), name.end(),
      [](unsigned char c) { return std::isalnum(c) == 0 && c != '-' && c != '_'; }, '_');
  return name;
}

bool starts_with_time(std::string_view text) {
  if (text.size() < kTimeShape.size()) return false;
  return std::equal(kTimeShape.begin(), kTimeShape.end(), text.begin(), [](char shape, char c) {
    return shape == '0' ? c >= '0' && c <= '9' : c == shape;
  });
}

int64_t unix_ms() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

size_t intervals_of(uint64_t seconds, uint64_t interval_ms) {
  return static_cast<size_t>((seconds * 1000 + interval_ms - 1) / interval_ms);
}

}  // namespace

FlightRecorder::FlightRecorder(const config::Capture& config, uint64_t interval_ms,
                               const std::string& process, record::Meta meta)
    : config_(config),
      prefix_(fmt::format("epulse-alarm-{}-", file_part(process))),
      before_(intervals_of(config.before_s, interval_ms)),
      after_(intervals_of(config.after_s, interval_ms)),
      meta_(std::move(meta)) {}

void FlightRecorder::keep(const TargetSample& sample) {
  if (!sample.epoll) return;
  const auto duration_ms = static_cast<int64_t>(sample.epoll->duration_ns / 1'000'000);
  Moment moment{*sample.epoll, {}, sample.exceptions, unix_ms() - duration_ms};
  for (const auto& thread : sample.sched.threads) {
    moment.names[static_cast<uint32_t>(thread.tid)] = thread.name;
  }
  if (writer_) {
    write(moment);
    ++followed_;
    if (--left_ == 0) finish();
  }
  moments_.push_back(std::move(moment));
  if (moments_.size() > before_) moments_.pop_front();
}

std::string FlightRecorder::capture(const std::string& why) {
  if (moments_.empty()) return {};  // without BPF there is nothing to record
  // An alarm that flaps does not keep one file open for ever: files_max bounds files, not their
  // size.
  if (writer_) {
    left_ = std::max<size_t>(1, std::min(after_, kFollowedMax * after_ - followed_));
    return path_;
  }
  left_ = after_;
  followed_ = 0;
  remove_oldest(config_.files_max - 1);  // first: it may be what fills the disk
  path_.clear();
  try {
    UniqueFd file = new_file();
    writer_ = std::make_unique<record::RecordWriter>(path_, std::move(file));
    record::Meta meta = meta_;
    meta["alarm"] = why;
    meta["started"] = alerts::rfc3339(moments_.front().began_unix_ms);
    writer_->meta(meta);
  } catch (const Error& error) {
    writer_.reset();
    std::error_code gone;  // one that holds nothing takes no other's place
    if (!path_.empty()) std::filesystem::remove(path_, gone);
    spdlog::error("capture: no recording of this alarm: {}; see alerts.capture.dir", error.what());
    return {};
  }
  for (const Moment& moment : moments_) {
    if (writer_) write(moment);
  }
  return path_;
}

// In the order of time when sorted by name. What somebody else has put in its place, a link say, is
// not written through.
UniqueFd FlightRecorder::new_file() {
  const std::string path =
      fmt::format("{}/{}{:%Y%m%dT%H%M%SZ}-{}-{:04}{}", config_.dir, prefix_,
                  fmt::gmtime(std::chrono::system_clock::now()), getpid(), ++made_, kSuffix);
  UniqueFd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) fail("cannot create {}: {}", path, errno_text(errno));
  path_ = path;
  return fd;
}

void FlightRecorder::write(const Moment& moment) {
  try {
    writer_->interval(moment.epoll, moment.names);
    writer_->waits(moment.waits);
  } catch (const Error& error) {
    writer_.reset();
    spdlog::error("capture: the recording {} is cut short: {}", path_, error.what());
  }
}

void FlightRecorder::finish() {
  if (!writer_) return;
  try {
    writer_->finish();
  } catch (const Error& error) {
    spdlog::error("capture: the recording {} is cut short: {}", path_, error.what());
  }
  writer_.reset();
}

void FlightRecorder::remove_oldest(size_t keep) const {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator at(config_.dir, error);
       !error && at != std::filesystem::directory_iterator(); at.increment(error)) {
    const std::string name = at->path().filename();
    if (name.starts_with(prefix_) && name.ends_with(kSuffix) &&
        starts_with_time(std::string_view(name).substr(prefix_.size()))) {
      names.push_back(name);
    }
  }
  std::sort(names.begin(), names.end());
  for (size_t i = 0; i + keep < names.size(); ++i) {
    std::filesystem::remove(config_.dir + "/" + names[i], error);
  }
}

}  // namespace epulse::daemon
