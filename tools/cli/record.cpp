#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <functional>
#include <memory>
#include <optional>

#include "agent/error.hpp"
#include "agent/export/record_writer.hpp"
#include "agent/model/text.hpp"
#include "agent/probes/attach.hpp"
#include "agent/probes/overhead_control.hpp"
#include "tools/cli/commands.hpp"
#include "tools/cli/target.hpp"
#include "tools/cli/watch.hpp"

namespace epulse::cli {
namespace {

// The command after `--`. Held back until the probe is attached, so that its first wait is seen.
class Command {
 public:
  explicit Command(const std::vector<std::string>& arguments) {
    int gate[2];
    int failure[2];
    if (pipe2(gate, O_CLOEXEC) != 0 || pipe2(failure, O_CLOEXEC) != 0) {
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
  ~Command() {
    close(gate_);
    close(failure_);
    if (pid_ > 0) stop();
  }
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;

  pid_t pid() const { return pid_; }

  // Lets it go. Throws Error when it cannot be executed.
  void start() {
    if (write(gate_, "", 1) != 1) fail("cannot start {}: {}", name_, errno_text(errno));
    int error = 0;
    if (read(failure_, &error, sizeof(error)) > 0) {
      fail("cannot run {}: {}", name_, errno_text(error));
    }
  }

  // Asks it to end, and after a while no longer asks. Returns its exit status as a shell would give
  // it.
  int stop() {
    kill(pid_, SIGTERM);
    for (int tenths = 0; tenths < 20; ++tenths) {
      if (has_ended()) return finish();
      poll(nullptr, 0, 100);
    }
    kill(pid_, SIGKILL);
    return finish();
  }

  bool has_ended() const {
    siginfo_t info{};
    return waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid != 0;
  }

  // Waits for it.
  int finish() {
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  [[noreturn]] static void run(const std::vector<std::string>& arguments, const int* gate,
                               const int* failure) {
    close(gate[1]);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    char token = 0;
    if (read(gate[0], &token, 1) != 1) _exit(127);  // the recorder gave up
    std::vector<char*> argv;
    argv.reserve(arguments.size() + 1);
    for (const std::string& argument : arguments)
      argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    execvp(argv[0], argv.data());
    const int error = errno;
    if (write(failure[1], &error, sizeof(error)) < 0) _exit(126);
    _exit(127);
  }

  pid_t pid_ = 0;
  int gate_ = -1;
  int failure_ = -1;
  std::string name_;
};

constexpr size_t kWaitsKept = 100'000;  // single waits in memory, some 9 MB

record::Meta describe(const RecordOptions& options, const Target& target, probes::Backend backend) {
  utsname names{};
  uname(&names);
  std::string command;
  for (const std::string& argument : options.command)
    command += (command.empty() ? "" : " ") + argument;
  const time_t now = time(nullptr);
  tm utc{};
  gmtime_r(&now, &utc);
  record::Meta meta{
      {"target", target.title() + (target.follow_children() ? " and children" : "")},
      {"host", fmt::format("{}, Linux {} {}", names.nodename, names.release, names.machine)},
      {"backend", probes::to_string(backend)},
      {"started", fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", utc.tm_year + 1900,
                              utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec)}};
  if (!command.empty()) meta["command"] = command;
  return meta;
}

}  // namespace

int run_record(const RecordOptions& options) {
  const auto selector = selector_of(options.target);
  if (!selector && options.command.empty()) {
    fail("nothing to record: give a target (-p, -t, -C, -G or --unit), or a command after --");
  }
  std::optional<Target> given;
  if (selector) given.emplace(*selector);
  Watch watch;
  std::unique_ptr<Command> command;
  if (!options.command.empty()) command = std::make_unique<Command>(options.command);
  const Target target = given ? *given : Target::command(command->pid(), options.target.children);
  if (given && given->single()) watch.add_process(given->pids()[0]);
  if (command) watch.add_process(command->pid());

  std::vector<epoll_wait_record> waits;
  const probes::Attached attached =
      probes::attach({.tgids = target.pids(),
                      .follow_children = target.follow_children(),
                      .exception_depth = options.exception_depth,
                      .exception_wakeup_ns = options.exception_wakeup_us * 1000,
                      .sample_every = options.sample_every},
                     "auto", [&](const epoll_wait_record& wait) {
                       if (target.wants(wait)) waits.push_back(wait);
                     });
  if (!attached.probe) fail("cannot record: {}", attached.plan.why);
  probes::EpollProbe& probe = *attached.probe;
  std::function<void()> write_many = [] {};
  watch.add_descriptor(probe.descriptor(), [&] {
    probe.consume();
    write_many();
  });
  target.add_members(probe);
  if (command) command->start();
  // Only now: a command that cannot be run must not cost an earlier recording.
  record::RecordWriter writer(options.output);
  const bool limited = options.duration_s > 0;
  watch.start(limited ? std::min(options.interval_s, options.duration_s) : options.interval_s);
  writer.meta(describe(options, target, attached.plan.backend));

  probes::OverheadControl control(probe, options.budget_percent / 100);
  std::string overhead;
  record::ThreadNames names;
  model::EpollIntervals intervals(probe.attached_ns());
  uint64_t deliveries = 0;
  uint64_t recorded_waits = 0;
  uint64_t elapsed_ns = 0;
  auto event = Watch::Event::kTick;
  const auto write_waits = [&] {
    writer.waits(waits);
    recorded_waits += waits.size();
    waits.clear();
  };
  // Between two ticks of a long interval: memory stays bounded, and a crash loses less.
  write_many = [&] {
    if (waits.size() >= kWaitsKept) write_waits();
  };
  const auto flush = [&] {
    probe.consume();
    model::EpollSnapshot interval = intervals.advance(probe.read());
    target.limit(interval);
    add_names(interval, names);
    writer.interval(interval, names);
    write_waits();
    if (event == Watch::Event::kTick) {
      control.interval_ends(interval.time_ns);
    } else {
      control.finish();
    }
    if (std::string text = text_of(control.overhead()); text != overhead) {
      overhead = std::move(text);
      writer.meta({{"probes", overhead}});
    }
    elapsed_ns += interval.duration_ns;
    for (const auto& worker : interval.workers)
      deliveries += worker.counters[EPOLL_COUNTER_DELIVERIES];
  };
  const auto is_over = [&] {
    return limited && static_cast<double>(elapsed_ns) >= options.duration_s * 1e9;
  };
  while (event == Watch::Event::kTick && !is_over()) {
    event = watch.next();
    flush();
    if (event == Watch::Event::kTick && !target.refresh(probe)) event = Watch::Event::kExited;
  }
  writer.finish();

  // As a shell would have it: the command's own status, or that we were interrupted.
  int status = 0;
  if (command && command->has_ended()) {
    status = command->finish();
  } else if (command) {
    status = command->stop();
    if (is_over()) status = 0;  // by our own signal, as was asked for
  }
  if (event == Watch::Event::kInterrupted) status = 128 + SIGINT;
  fmt::print(
      stderr, "epulse: {} deliveries and {} single waits over {} recorded in {} ({} bytes)\n",
      deliveries, recorded_waits, model::duration_text(elapsed_ns), options.output, writer.bytes());
  if (deliveries == 0 && !given && !options.target.children) {
    fmt::print(stderr,
               "epulse: no epoll_wait of {} itself returned with events; its children are not "
               "followed: give --children, `exec` the server, or record it with -p PID\n",
               options.command[0]);
  }
  return status;
}

}  // namespace epulse::cli
