#include "tools/cli/terminal.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "agent/error.hpp"
#include "tools/cli/output.hpp"

namespace epulse::cli {
namespace {

// xterm's private modes: the other page and its cursor (1049), cursor shown (25), lines wrap (7).
constexpr std::string_view kEnter = "\033[?1049h\033[?25l\033[?7l\033[2J";
constexpr std::string_view kLeave = "\033[0m\033[?7h\033[?25h\033[?1049l";

// Past stdio, which may hold an error of earlier; false when the terminal is gone.
bool write_all(std::string_view text) {
  while (!text.empty()) {
    const ssize_t bytes = write(STDOUT_FILENO, text.data(), text.size());
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes < 0) return false;
    text.remove_prefix(static_cast<size_t>(bytes));
  }
  return true;
}

}  // namespace

std::optional<ScreenSize> terminal_size() {
  winsize size{};
  if (isatty(STDOUT_FILENO) == 0 || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return {};
  if (size.ws_row == 0 || size.ws_col == 0) return {};
  return ScreenSize{size.ws_row, size.ws_col};
}

bool wants_colours() {
  const char* none = getenv("NO_COLOR");
  return isatty(STDOUT_FILENO) != 0 && (none == nullptr || *none == '\0');
}

Terminal::Terminal() {
  flush_output();
  if (tcgetattr(STDIN_FILENO, &before_) != 0) {
    fail("cannot take over the terminal: standard input: {}", errno_text(errno));
  }
  enter();
}

Terminal::~Terminal() {
  leave();
}

void Terminal::enter() {
  termios raw = before_;
  raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
  raw.c_cc[VMIN] = 0;
  raw.c_cc[VTIME] = 0;
  tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw);
  write_all(kEnter);
}

void Terminal::leave() {
  write_all(kLeave);
  tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
}

void Terminal::draw(const std::vector<std::string>& lines) {
  std::string frame = "\033[H";
  for (size_t i = 0; i < lines.size(); ++i) {
    frame += lines[i] + "\033[K";
    if (i + 1 < lines.size()) frame += "\r\n";
  }
  frame += "\033[J";
  if (!write_all(frame)) fail("cannot draw on the terminal: {}", errno_text(errno));
}

std::optional<std::vector<Key>> Terminal::keys() {
  std::string bytes(1024, '\0');
  const ssize_t got = read(STDIN_FILENO, bytes.data(), bytes.size());
  pollfd input{STDIN_FILENO, POLLIN, 0};
  if (got < 0 || (got == 0 && poll(&input, 1, 0) == 1 && (input.revents & POLLHUP) != 0)) return {};
  bytes.resize(static_cast<size_t>(got));
  return parse_keys(bytes);
}

void Terminal::suspend() {
  leave();
  // Not SIGSTOP: where no shell could continue us, the kernel drops a SIGTSTP.
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGTSTP);
  pthread_sigmask(SIG_UNBLOCK, &stop, nullptr);
  raise(SIGTSTP);
  pthread_sigmask(SIG_BLOCK, &stop, nullptr);
  enter();
}

}  // namespace epulse::cli
