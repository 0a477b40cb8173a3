#include "tests/server/child.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <stdexcept>
#include <thread>

namespace epulse::testing {
namespace {

using Clock = std::chrono::steady_clock;

milliseconds until(Clock::time_point deadline) {
  const auto left = std::chrono::duration_cast<milliseconds>(deadline - Clock::now());
  return std::max(left, milliseconds(0));
}

// Appends what is there; false at the end of the stream.
bool drain(int& fd, std::string& text) {
  std::array<char, 4096> buffer;
  const ssize_t n = read(fd, buffer.data(), buffer.size());
  if (n > 0) {
    text.append(buffer.data(), static_cast<std::size_t>(n));
    return true;
  }
  close(fd);
  fd = -1;
  return false;
}

[[noreturn]] void become(std::vector<std::string>& command, int out, int err) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // A test that dies leaves nothing behind.
  dup2(out, STDOUT_FILENO);
  dup2(err, STDERR_FILENO);
  std::vector<char*> arguments;
  arguments.reserve(command.size() + 1);
  for (std::string& argument : command) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  execv(arguments[0], arguments.data());
  _exit(127);
}

std::vector<std::string> server_command(const std::vector<std::string>& options) {
  std::vector<std::string> command = {EPULSE_WS_PATH, "--listen", "127.0.0.1:0"};
  if (const std::string engine = engine_under_test(); !engine.empty()) {
    command.insert(command.end(), {"--engine", engine});
  }
  if (const char* const mode = getenv("EPULSE_WS_EPOLL_MODE")) {
    command.insert(command.end(), {"--epoll-mode", mode});
  }
  command.insert(command.end(), options.begin(), options.end());
  return command;
}

}  // namespace

std::string engine_under_test() {
  const char* engine = getenv("EPULSE_WS_ENGINE");
  return engine == nullptr ? "" : engine;
}

Child::Child(std::vector<std::string> command) {
  std::array<int, 2> out{};
  std::array<int, 2> err{};
  if (pipe2(out.data(), O_CLOEXEC) != 0 || pipe2(err.data(), O_CLOEXEC) != 0) {
    throw std::runtime_error("no pipe");
  }
  pid_ = fork();
  if (pid_ < 0) throw std::runtime_error("no process");
  if (pid_ == 0) become(command, out[1], err[1]);
  close(out[1]);
  close(err[1]);
  out_fd_ = out[0];
  err_fd_ = err[0];
}

Child::~Child() {
  if (!reaped_) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  if (out_fd_ >= 0) close(out_fd_);
  if (err_fd_ >= 0) close(err_fd_);
}

void Child::signal(int number) const {
  kill(pid_, number);
}

// Reads what comes; false when nothing came or nothing can come any more.
bool Child::pump(milliseconds deadline) {
  std::array<pollfd, 2> fds = {{{out_fd_, POLLIN, 0}, {err_fd_, POLLIN, 0}}};
  if (out_fd_ < 0 && err_fd_ < 0) return false;
  if (::poll(fds.data(), fds.size(), static_cast<int>(deadline.count())) <= 0) return false;
  if (fds[0].revents != 0) drain(out_fd_, out_);
  if (fds[1].revents != 0) drain(err_fd_, err_);
  return true;
}

std::string Child::read_line(milliseconds deadline) {
  const auto end = Clock::now() + deadline;
  while (true) {
    const std::size_t newline = out_.find('\n', line_start_);
    if (newline != std::string::npos) {
      std::string line = out_.substr(line_start_, newline - line_start_);
      line_start_ = newline + 1;
      return line;
    }
    if (!pump(until(end))) return {};
  }
}

const std::string& Child::err_so_far() {
  while (pump(milliseconds(0))) {
  }
  return err_;
}

int Child::wait(milliseconds deadline) {
  constexpr milliseconds kLook(5);
  const auto end = Clock::now() + deadline;
  int status = 0;
  while (waitpid(pid_, &status, WNOHANG) != pid_) {
    if (Clock::now() >= end) return -1;
    if (!pump(kLook)) std::this_thread::sleep_for(milliseconds(1));
  }
  reaped_ = true;
  // Not to the end of its output: it may have left children that have it, too.
  while (pump(milliseconds(0))) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

Heir::Heir(const std::string& start_line) {
  const std::string mark = ", pid ";
  const std::size_t at = start_line.rfind(mark);
  if (at == std::string::npos) throw std::runtime_error("no successor: '" + start_line + "'");
  pid_ = std::stoi(start_line.substr(at + mark.size()));
  fd_ = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
  if (fd_ < 0) throw std::runtime_error("the successor has gone: " + start_line);
}

Heir::~Heir() {
  signal(SIGTERM);
  close(fd_);
}

void Heir::signal(int number) const {
  syscall(SYS_pidfd_send_signal, fd_, number, nullptr, 0);
}

bool Heir::ended(milliseconds deadline) const {
  pollfd end{fd_, POLLIN, 0};
  return ::poll(&end, 1, static_cast<int>(deadline.count())) == 1;
}

ServerChild::ServerChild(const std::vector<std::string>& options)
    : child_(server_command(options)), start_line_(child_.read_line()) {
  const std::string prefix = "epulse-ws: listening on 127.0.0.1:";
  if (!start_line_.starts_with(prefix)) throw std::runtime_error("no server: " + start_line_);
  port_ = std::stoi(start_line_.substr(prefix.size()));
}

std::string ServerChild::url(const std::string& path) const {
  return "ws://127.0.0.1:" + std::to_string(port_) + path;
}

}  // namespace epulse::testing
