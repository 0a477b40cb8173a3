#include "server/handover.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <sstream>
#include <thread>
#include <vector>

#include "server/error.hpp"

namespace epulse::server {
namespace {

// "READY CLAIM LISTENER...": descriptors.
constexpr const char* kVariable = "EPULSE_WS_HANDOVER";
constexpr std::chrono::seconds kEndPatience{3};

// Of the process before this one, who reads the other end.
UniqueFd& ready_pipe() {
  static UniqueFd fd;
  return fd;
}

std::string describe(int ready, const InheritedListeners& listeners) {
  std::string text = fmt::format("{}={} {}", kVariable, ready, listeners.claim);
  for (const int fd : listeners.sockets) text += fmt::format(" {}", fd);
  return text;
}

// Our environment, and one more variable.
std::vector<char*> environment_with(std::string& variable) {
  std::vector<char*> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) environment.push_back(*entry);
  environment.push_back(variable.data());
  environment.push_back(nullptr);
  return environment;
}

// No signal is blocked or ignored, and these descriptors stay open.
class SpawnSettings {
 public:
  explicit SpawnSettings(const std::vector<int>& kept) {
    posix_spawn_file_actions_init(&actions_);
    // Onto itself: stays open (POSIX.1-2024, posix_spawn_file_actions_adddup2()).
    for (const int fd : kept) posix_spawn_file_actions_adddup2(&actions_, fd, fd);
    sigset_t none;
    sigset_t ignored;
    sigemptyset(&none);
    sigemptyset(&ignored);
    sigaddset(&ignored, SIGPIPE);
    posix_spawnattr_init(&attributes_);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setsigdefault(&attributes_, &ignored);
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;
  ~SpawnSettings() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }

  const posix_spawn_file_actions_t* actions() const { return &actions_; }
  const posix_spawnattr_t* attributes() const { return &attributes_; }

 private:
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

}  // namespace

std::optional<InheritedListeners> inherited_listeners() {
  const char* value = std::getenv(kVariable);
  if (value == nullptr) return std::nullopt;
  std::istringstream words(value);
  unsetenv(kVariable);  // not for children of ours
  int ready = -1;
  InheritedListeners listeners;
  words >> ready >> listeners.claim;
  for (int fd = 0; words >> fd;) listeners.sockets.push_back(fd);
  if (!words.eof() || listeners.sockets.empty() || fcntl(ready, F_SETFD, FD_CLOEXEC) != 0) {
    fail("{}='{}' names no descriptors of ours; unset it: only epulse-ws sets it, for hot restart",
         kVariable, value);
  }
  ready_pipe() = UniqueFd(ready);
  return listeners;
}

void report_ready() {
  if (!ready_pipe()) return;
  const char byte = 1;
  // Fails when nobody waits any more: then it is not for us to mind.
  [[maybe_unused]] const ssize_t written = write(ready_pipe().get(), &byte, 1);
  ready_pipe() = UniqueFd();
}

Successor::Successor(const std::string& program, char** arguments,
                     const InheritedListeners& listeners) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) fail("cannot make a pipe: {}", errno_text(errno));
  ready_ = UniqueFd(ends[0]);
  const UniqueFd theirs(ends[1]);
  std::vector<int> kept = listeners.sockets;
  kept.push_back(listeners.claim);
  kept.push_back(theirs.get());
  std::string variable = describe(theirs.get(), listeners);
  std::vector<char*> environment = environment_with(variable);
  const SpawnSettings settings(kept);
  const int error = posix_spawn(&pid_, program.c_str(), settings.actions(), settings.attributes(),
                                arguments, environment.data());
  if (error != 0) fail("cannot start '{}': {}", program, errno_text(error));
}

Successor::~Successor() {
  if (state_ == State::kServes) return;
  kill(pid_, SIGTERM);
  const auto deadline = std::chrono::steady_clock::now() + kEndPatience;
  while (waitpid(pid_, nullptr, WNOHANG) == 0) {
    // Stuck before it listened to signals, it would hold us up for ever.
    if (std::chrono::steady_clock::now() > deadline) kill(pid_, SIGKILL);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

Successor::State Successor::wait(std::chrono::milliseconds time) {
  pollfd readable{ready_.get(), POLLIN, 0};
  if (state_ != State::kStarting || poll(&readable, 1, static_cast<int>(time.count())) <= 0) {
    return state_;
  }
  char byte = 0;
  state_ = read(ready_.get(), &byte, 1) == 1 ? State::kServes : State::kFailed;
  return state_;
}

}  // namespace epulse::server
