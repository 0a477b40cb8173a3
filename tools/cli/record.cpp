#include <fmt/format.h>
#include <signal.h>
#include <sys/utsname.h>

#include <algorithm>
#include <ctime>
#include <memory>
#include <optional>

#include "agent/error.hpp"
#include "agent/probes/attach.hpp"
#include "common/boot_id.hpp"
#include "tools/cli/command.hpp"
#include "tools/cli/commands.hpp"
#include "tools/cli/recorder.hpp"
#include "tools/cli/target.hpp"
#include "tools/cli/watch.hpp"

namespace epulse::cli {
namespace {

constexpr uint64_t kRingSizeMin = 64U << 10;
// 200,000 single waits a second are 19 MB: the recorder may be away for a fifth of one.
constexpr uint32_t kRingBytesForAll = 4U << 20;

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
      {"boot_id", boot_id()},
      {"started", fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", utc.tm_year + 1900,
                              utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec)}};
  if (options.sample_every == 1) meta["waits"] = "all";
  if (!command.empty()) meta["command"] = command;
  if (options.ring) meta["ring"] = fmt::format("{} bytes", options.size_max);
  return meta;
}

// As a shell would have it: the command's own status, or that we were interrupted.
int status_of(Command* command, Watch::Event event, bool over) {
  int status = 0;
  if (command != nullptr && command->has_ended()) {
    status = command->finish();
  } else if (command != nullptr) {
    status = command->stop();
    if (over) status = 0;  // by our own signal, as was asked for
  }
  return event == Watch::Event::kInterrupted ? 128 + SIGINT : status;
}

}  // namespace

int run_record(const RecordOptions& options) {
  const auto selector = selector_of(options.target);
  if (!selector && options.command.empty()) {
    fail("nothing to record: give a target (-p, -t, -C, -G or --unit), or a command after --");
  }
  if (options.ring && options.size_max < kRingSizeMin) {
    fail("--ring needs a limit of at least {} bytes: give --max-size 64M", kRingSizeMin);
  }
  std::optional<Target> given;
  if (selector) given.emplace(*selector);
  Watch watch;
  std::unique_ptr<Command> command;
  if (!options.command.empty()) command = std::make_unique<Command>(options.command);
  const Target target = given ? *given : Target::command(command->pid(), options.target.children);
  if (given && given->single()) watch.add_process(given->pids()[0]);
  if (command) watch.add_process(command->pid());

  PendingWaits pending(target);
  const probes::Attached attached =
      probes::attach({.tgids = target.pids(),
                      .follow_children = target.follow_children(),
                      .exception_depth = options.exception_depth,
                      .exception_wakeup_ns = options.exception_wakeup_us * 1000,
                      .sample_every = options.sample_every,
                      .ring_bytes = options.sample_every != 0 ? kRingBytesForAll : 0},
                     "auto", [&](const epoll_wait_record& wait) { pending.add(wait); });
  if (!attached.probe) fail("cannot record: {}", attached.plan.why);
  probes::EpollProbe& probe = *attached.probe;
  target.add_members(probe);
  if (command) command->start();
  // Only now: a command that cannot be run must not cost an earlier recording.
  Recorder recorder(options, target, probe, pending);
  recorder.start(describe(options, target, attached.plan.backend));
  watch.add_descriptor(probe.descriptor(), [&] { recorder.take_waits(); });

  if (given) fmt::print(stderr, "epulse: recording {}; Ctrl-C ends it\n", target.title());

  const bool limited = options.duration_s > 0;
  watch.start(limited ? std::min(options.interval_s, options.duration_s) : options.interval_s);
  auto event = Watch::Event::kTick;
  while (event == Watch::Event::kTick && !recorder.is_over()) {
    event = watch.next();
    recorder.interval_ends(event == Watch::Event::kTick);
    if (event == Watch::Event::kTick && !target.refresh(probe)) event = Watch::Event::kExited;
  }
  recorder.finish();
  const int status = status_of(command.get(), event, recorder.is_over());
  if (recorder.deliveries() == 0 && !given && !options.target.children) {
    fmt::print(stderr,
               "epulse: no epoll_wait of {} itself returned with events; its children are not "
               "followed: give --children, `exec` the server, or record it with -p PID\n",
               options.command[0]);
  }
  if (recorder.deliveries() == 0 && given) {
    fmt::print(stderr,
               "epulse: no epoll_wait of it returned with events; an io_uring engine has none: "
               "epulse stat -p PID shows its rings\n");
  }
  return status;
}

}  // namespace epulse::cli
