#include "agent/control/history.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "agent/alerts/payload.hpp"
#include "agent/error.hpp"
#include "common/unique_fd.hpp"

namespace epulse::control {
namespace {

using nlohmann::json;

constexpr off_t kFileBytesMax = 1 << 20;  // of each of the two files

std::optional<Event> event_of(const std::string& line) {
  const json object = json::parse(line, nullptr, false);
  const auto text = [&](const char* name) {
    const auto at = object.find(name);
    return at != object.end() && at->is_string() ? at->get<std::string>() : std::string();
  };
  if (!object.is_object() || !object.contains("unix_ms") ||
      !object["unix_ms"].is_number_integer()) {
    return std::nullopt;
  }
  return Event{object["unix_ms"].get<int64_t>(), text("kind"), text("text"), text("by_hand"),
               text("target")};
}

void read_file(const std::string& path, std::vector<Event>& events) {
  std::ifstream in(path);
  if (!in && errno == ENOENT) return;
  if (!in) fail("cannot read the history {}: {}", path, errno_text(errno));
  for (std::string line; std::getline(in, line);) {
    if (auto event = event_of(line)) events.push_back(std::move(*event));
  }
}

}  // namespace

int64_t unix_ms_now() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

void History::add(std::string_view kind, std::string_view text, std::string_view by_hand) {
  json object = {{"unix_ms", unix_ms_now()}, {"kind", kind}, {"text", text}};
  if (!by_hand.empty()) object["by_hand"] = by_hand;
  if (!target_.empty()) object["target"] = target_;
  const std::string line = object.dump(-1, ' ', false, json::error_handler_t::replace) + '\n';
  const UniqueFd fd(
      open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  // In one write, so that several daemons do not come between each other.
  const ssize_t put = fd ? write(fd.get(), line.data(), line.size()) : -1;
  const bool written = put == static_cast<ssize_t>(line.size());
  error_ = written ? "" : errno_text(put < 0 ? errno : ENOSPC);  // a part of it: no room for more
  struct stat status {};
  if (written && fstat(fd.get(), &status) == 0 && status.st_size > kFileBytesMax) {
    std::rename(path_.c_str(), (path_ + ".1").c_str());
  }
}

std::vector<Event> History::read(const std::string& state_dir, size_t max) {
  std::vector<Event> events;
  read_file(state_dir + "/history.1", events);
  read_file(state_dir + "/history", events);
  if (events.size() > max) events.erase(events.begin(), events.end() - static_cast<long>(max));
  return events;
}

json history_json(const std::vector<Event>& events) {
  json all = json::array();
  for (const Event& event : events) {
    json one = {{"at", alerts::rfc3339(event.unix_ms)}, {"kind", event.kind}, {"text", event.text}};
    if (!event.by_hand.empty()) one["by_hand"] = event.by_hand;
    if (!event.target.empty()) one["target"] = event.target;
    all.push_back(std::move(one));
  }
  return all;
}

}  // namespace epulse::control
