#include "tools/cli/command.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/error.hpp"

namespace epulse::cli {

Command::Command(const std::vector<std::string>& arguments) {
  int gate[2];
  int failure[2];
  // A socket, not a pipe: to open the gate of a command that Ctrl-C has ended must not end us.
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, gate) != 0 ||
      pipe2(failure, O_CLOEXEC) != 0) {
    fail("cannot start {}: {}", arguments[0], errno_text(errno));
  }
  pid_ = fork();
  if (pid_ < 0) fail("cannot start {}: {}", arguments[0], errno_text(errno));
  if (pid_ == 0) run(arguments, gate, failure);
  close(gate[0]);
  close(failure[1]);
  gate_ = gate[1];
  failure_ = failure[0];
  name_ = arguments[0];
}

Command::~Command() {
  close(gate_);
  close(failure_);
  if (pid_ > 0) stop();
}

void Command::start() {
  if (send(gate_, "", 1, MSG_NOSIGNAL) != 1) fail("cannot start {}: {}", name_, errno_text(errno));
  int error = 0;
  if (read(failure_, &error, sizeof(error)) > 0) {
    fail("cannot run {}: {}", name_, errno_text(error));
  }
}

int Command::stop() {
  kill(pid_, SIGTERM);
  for (int tenths = 0; tenths < 20; ++tenths) {
    if (has_ended()) return finish();
    poll(nullptr, 0, 100);
  }
  kill(pid_, SIGKILL);
  return finish();
}

bool Command::has_ended() const {
  siginfo_t info{};
  return waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         info.si_pid != 0;
}

int Command::finish() {
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = 0;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void Command::run(const std::vector<std::string>& arguments, const int* gate, const int* failure) {
  close(gate[1]);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  char token = 0;
  if (read(gate[0], &token, 1) != 1) _exit(127);  // the recorder gave up
  std::vector<char*> argv;
  argv.reserve(arguments.size() + 1);
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  execvp(argv[0], argv.data());
  const int error = errno;
  if (write(failure[1], &error, sizeof(error)) < 0) _exit(126);
  _exit(127);
}

}  // namespace epulse::cli
