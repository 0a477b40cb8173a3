// Parts of the daemon that need no process to watch: what it gives up, what it says when it has no
// advice, what it records, and a process of 10,000 threads.
#include <fmt/ranges.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <set>

#include "agent/alerts/alerts.hpp"
#include "agent/alerts/payload.hpp"
#include "agent/daemon/flight_recorder.hpp"
#include "agent/daemon/log_limit.hpp"
#include "agent/daemon/no_advice.hpp"
#include "agent/daemon/observations.hpp"
#include "agent/daemon/privileges.hpp"
#include "agent/daemon/tuning_log.hpp"
#include "agent/export/record_reader.hpp"
#include "agent/kernel/process_end.hpp"
#include "agent/kernel/sched_sampler.hpp"
#include "tests/agent/child.hpp"
#include "tests/agent/temp_dir.hpp"

namespace epulse::daemon {
namespace {

bool needs(const std::vector<cap_value_t>& all, cap_value_t one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

TEST(Privileges, AreWhatTheConfigurationNeeds) {
  config::Config config;
  const auto observing = capabilities_needed(config, config::Mode::kObserve, false, true);
  EXPECT_EQ(observing, (std::vector<cap_value_t>{CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH}));
  const auto applying = capabilities_needed(config, config::Mode::kApply, true, false);
  EXPECT_FALSE(needs(applying, CAP_DAC_OVERRIDE)) << "there is no control socket";
  EXPECT_TRUE(
      needs(capabilities_needed(config, config::Mode::kApply, true, true), CAP_DAC_OVERRIDE));
  EXPECT_TRUE(needs(applying, CAP_SYS_NICE));
  EXPECT_FALSE(needs(applying, CAP_NET_ADMIN)) << "the tuner of socket buffers is off";
  EXPECT_TRUE(needs(applying, CAP_SYS_ADMIN)) << "to time BPF programs";
  config.probes.overhead_budget = 0;
  config.socket_buffers.enabled = true;
  const auto without_budget = capabilities_needed(config, config::Mode::kApply, true, false);
  EXPECT_FALSE(needs(without_budget, CAP_SYS_ADMIN));
  EXPECT_TRUE(needs(without_budget, CAP_NET_ADMIN));
}

TEST(Privileges, AreGivenUpForGoodAlsoByProgramsThatWeRun) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root, to have some to give up";
  const pid_t child = fork();
  if (child == 0) {
    keep_capabilities({CAP_SYS_NICE});
    if (capabilities_text() != "cap_sys_nice") _exit(1);
    // A program that root runs gets all that the bounding set leaves.
    _exit(WEXITSTATUS(system(  // NOLINT: nothing of it comes from outside
        "test $(awk '/^CapEff/ {print $2}' /proc/self/status) = 0000000000800000")));
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST(LogLimit, LetsSomeThroughAndCountsTheRest) {
  LogLimit limit(2, 100);
  int said = 0;
  for (uint64_t now = 1000; now < 1050; now += 10) said += limit.allows(now) ? 1 : 0;
  EXPECT_EQ(said, 2);
  EXPECT_EQ(limit.take_left_out(), 3U);
  EXPECT_TRUE(limit.allows(1100));
  EXPECT_EQ(limit.take_left_out(), 0U);
}

tuners::Proposal proposal(const char* scenario, const char* target, const char* evidence) {
  tuners::Proposal one;
  one.scenario = scenario;
  one.target = target;
  one.evidence = evidence;
  return one;
}

TEST(TuningLog, ForgetsAdviceThatNothingBearsOut) {
  const TempDir dir;
  TuningLog log(dir.path(), "server[7]");
  log.diagnosed(proposal("host.listen-overflow", "socket 6", "5 drops"));
  log.diagnosed(proposal("affinity.busy-cpu", "thread 7 (w)", "it waits"));
  log.diagnosed(proposal("diagnosis.herd", "nginx[1]", "empty"));
  const uint64_t now_ns = kernel::monotonic_ns();
  log.drop_stale(now_ns - 1'000'000'000);
  ASSERT_EQ(log.advice().size(), 3U) << "just said";
  log.still_holds(proposal("host.listen-overflow", "socket 6", "9 drops"), now_ns + 100);
  log.still_holds("thread 7 (w)", now_ns + 100);
  log.still_holds("thread 8 (w)", now_ns + 100);
  log.drop_stale(now_ns + 50);
  ASSERT_EQ(log.advice().size(), 2U);
  EXPECT_EQ(log.advice()[0].proposal.evidence, "9 drops") << "the newer figures";
  EXPECT_EQ(log.advice()[1].proposal.target, "thread 7 (w)");
  log.drop_stale(now_ns + 101);
  EXPECT_TRUE(log.advice().empty());
}

TEST(TuningLog, AdviceOnWhatIsSomebodyElsesIsTakenBack) {
  const TempDir dir;
  TuningLog log(dir.path(), "server[7]");
  log.diagnosed(proposal("affinity.busy-cpu", "thread 7 (w)", "it waits"));
  log.stood_down(proposal("affinity.busy-cpu", "thread 7 (w)", "it waits"), "thread 7: left alone");
  EXPECT_TRUE(log.advice().empty());
  log.forgotten({{1, {}, actuate::UndoResult::kStoodDown, "thread 8: is theirs"},
                 {2, {}, actuate::UndoResult::kGone, "thread 9: it has ended"}});
  const auto events = control::History::read(dir.path(), 10);
  ASSERT_EQ(events.size(), 4U);
  EXPECT_EQ(events[1].kind, "stood down");
  EXPECT_EQ(events[2].kind, "stood down");
  EXPECT_EQ(events[2].text, "thread 8: is theirs");
  EXPECT_EQ(events[3].kind, "gone");
}

model::ThreadSched worker(uint64_t p99_us, const char* mask) {
  model::ThreadSched thread;
  thread.tid = 7;
  thread.name = "w";
  thread.is_worker = true;
  thread.wakeup_ns_p99 = p99_us * 1000;
  thread.allowed = model::CpuSet::parse(mask).value();
  return thread;
}

constexpr uint64_t kSecond = 1'000'000'000;

// The tuner has seen `interval` for `times` seconds; a line for each sentence.
std::string why(const model::SchedInterval& interval, uint64_t times = 1) {
  const auto usable = model::CpuSet::parse("0-1").value();
  tuners::AffinityTuner tuner({});
  for (uint64_t i = 1; i <= times; ++i) tuner.step(interval, usable, (100 + i) * kSecond);
  return fmt::format("{}\n", fmt::join(why_no_affinity_advice(interval, usable, {}, tuner,
                                                              (100 + times) * kSecond),
                                       "\n"));
}

TEST(NoAdvice, NamesTheConditionThatIsNotMet) {
  model::SchedInterval interval;
  interval.seconds = 1;
  EXPECT_NE(why(interval).find("no thread has waited"), std::string::npos);
  interval.threads = {worker(10, "0"), worker(300, "0")};
  EXPECT_NE(why(interval).find("w[7], waits 300 us from woken to running at p99 (limit 1000 us)"),
            std::string::npos)
      << why(interval);
  interval.threads = {worker(5000, "0-1")};
  EXPECT_NE(why(interval).find("the scheduler chooses"), std::string::npos) << why(interval);
  interval.threads = {worker(5000, "1")};
  interval.threads[0].cpu = 1;
  interval.threads[0].run_share = 0.1;
  interval.cpus = {{.cpu = 0, .busy_share = 0.9},
                   {.cpu = 1, .busy_share = 0.3, .target_share = 0.1}};
  EXPECT_NE(why(interval).find("others keep its CPU 1 20 % busy (30 % needed)"), std::string::npos)
      << why(interval);
  interval.throttled_share = 0.12;
  EXPECT_NE(why(interval).find("for 12 % of the time (limit 5 %)"), std::string::npos)
      << why(interval);
  interval.wakeups_measured = false;
  interval.threads[0].wakeup_ns_p99.reset();
  EXPECT_NE(why(interval).find("overhead_budget"), std::string::npos);
  interval.throttled_share = 0;
  interval.threads[0].delay_ns_mean = 300'000;  // which bears witness nevertheless
  interval.threads[0].delay_share = 0.1;
  EXPECT_NE(why(interval).find("w[7] waits 300 us per time slice as a mean (limit 200 us), 10.0 %"),
            std::string::npos)
      << why(interval);
}

// CPU 1 has a price of 0.8 and CPU 0 one of 0.35, a quarter less after the margin; four intervals
// make the sum.
TEST(NoAdvice, HasTheFiguresThatDecide) {
  model::SchedInterval interval;
  interval.seconds = 1;
  interval.threads = {worker(5000, "1"), worker(10, "1"), worker(7000, "1")};
  interval.threads[2].tid = 9;
  interval.cpus = {{.cpu = 0, .busy_share = 0.35}, {.cpu = 1, .busy_share = 0.8}};
  const std::string balance =
      "the best other CPU is 0, at a price of 0.35 against 0.80 of CPU 1; its gain has summed up "
      "to ";
  const std::string wait = "waits 7000 us from woken to running at p99 (limit 1000 us); ";
  EXPECT_TRUE(why(interval).starts_with("w[9] " + wait + balance + "0.25 of 1.00\n"))
      << why(interval);
  EXPECT_NE(why(interval, 2).find("\nw[7] waits 5000 us"), std::string::npos) << why(interval, 2);
  EXPECT_NE(why(interval, 2).find(balance + "0.50 of"), std::string::npos) << why(interval, 2);
  EXPECT_EQ(why(interval).find("waits 10 us"), std::string::npos) << "it is within the limit";
  EXPECT_NE(why(interval, 5).find(" of 1.00; cooldown for another 4 s\n"), std::string::npos)
      << why(interval, 5);
  interval.cpus[0].busy_share = 0.55;
  for (auto& thread : interval.threads) thread.run_share = 0.4;
  EXPECT_NE(why(interval).find("against 0.80 of CPU 1, and has no room for it; its"),
            std::string::npos)
      << why(interval);
}

TEST(NoAdvice, WithoutBpfTheMeanAndTheShareCount) {
  model::SchedInterval interval;
  interval.threads = {worker(0, "0")};
  interval.threads[0].wakeup_ns_p99.reset();
  interval.threads[0].delay_ns_mean = 300'000;
  interval.threads[0].delay_share = 0.02;
  EXPECT_NE(why(interval).find("the worker that waits longest, w[7], waits 300 us per time slice "
                               "as a mean (limit 200 us), 2.0 % of the time (limit 5.0 %)"),
            std::string::npos)
      << why(interval);
}

TEST(ProcessEnd, OneLivesAsLongAsAThreadOfIt) {
  Child alive;
  EXPECT_FALSE(kernel::is_ending(alive.pid()));
  const pid_t pid = alive.pid();
  alive.kill();
  EXPECT_TRUE(kernel::is_ending(pid)) << "gone";

  const pid_t zombie = fork();
  if (zombie == 0) _exit(0);
  siginfo_t info{};
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(zombie), &info, WEXITED | WNOWAIT), 0);
  EXPECT_TRUE(kernel::is_ending(zombie));
  EXPECT_EQ(waitpid(zombie, nullptr, 0), zombie);

  const pid_t headless = fork();
  if (headless == 0) {  // its first thread ends, another goes on
    pthread_t thread{};
    const auto wait = [](void*) -> void* {
      for (;;) pause();
    };
    if (pthread_create(&thread, nullptr, wait, nullptr) != 0) _exit(1);
    syscall(SYS_exit, 0);
  }
  EXPECT_TRUE(eventually([&] {
    const auto first = kernel::thread_stat(headless, headless);
    return first && first->state == 'Z';
  }));
  EXPECT_FALSE(kernel::is_ending(headless));
  kill(headless, SIGKILL);
  EXPECT_EQ(waitpid(headless, nullptr, 0), headless);
}

TargetSample sample_of(uint64_t time_ns) {
  TargetSample sample;
  sample.epoll.emplace();
  sample.epoll->time_ns = time_ns;
  sample.epoll->duration_ns = 1'000'000'000;
  model::WorkerStats worker;
  worker.key.tid = 5;
  worker.counters[EPOLL_COUNTER_WAITS] = 10;
  sample.epoll->workers.push_back(worker);
  return sample;
}

struct Recorded final : record::RecordVisitor {
  void on_meta(const record::Meta& all) override { meta = all; }
  void on_interval(const model::EpollSnapshot& one, const record::ThreadNames&) override {
    times_ns.push_back(one.time_ns);
  }
  record::Meta meta;
  std::vector<uint64_t> times_ns;
};

TEST(FlightRecorder, WritesTheSecondsBeforeAndAfter) {
  const TempDir dir;
  const std::vector<std::string> others = {"epulse-mine.data", "epulse-alarm-redis.data",
                                           "epulse-alarm-redis-7-20260101T000000Z-1-0001.data"};
  for (const std::string& name : others) write_text(dir.file(name), "somebody else's");
  FlightRecorder recorder({.dir = dir.path(), .before_s = 3, .after_s = 2, .files_max = 2}, 1000,
                          "redis", {});
  EXPECT_EQ(recorder.capture("early"), "") << "nothing to show yet";
  const auto a_second_ago = [] {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::milliseconds>(now).count() - 1000;
  };
  const std::string earliest = alerts::rfc3339(a_second_ago());
  for (uint64_t t = 1; t <= 10; ++t) recorder.keep(sample_of(t));
  const std::string latest = alerts::rfc3339(a_second_ago());
  const std::string path = recorder.capture("it is late");
  EXPECT_EQ(recorder.capture("another, at once"), path) << "one recording shows both";
  for (uint64_t t = 11; t <= 20; ++t) recorder.keep(sample_of(t));
  record::FileSource file(path);
  Recorded recorded;
  const record::RecordCondition condition = record::scan_recording(file, path, recorded);
  EXPECT_TRUE(condition.whole()) << text_of(condition);
  EXPECT_EQ(recorded.times_ns, (std::vector<uint64_t>{8, 9, 10, 11, 12})) << "before and after";
  EXPECT_EQ(recorded.meta.at("alarm"), "it is late");
  // When its first interval began: one of a second, which ended just now.
  EXPECT_GE(recorded.meta["started"], earliest);
  EXPECT_LE(recorded.meta["started"], latest);
  for (int i = 0; i < 3; ++i) {
    recorder.capture("again");
    recorder.finish();
  }
  const auto files = std::filesystem::directory_iterator(dir.path());
  EXPECT_EQ(std::distance(begin(files), end(files)), 2 + 3) << "the oldest are removed";
  for (const std::string& name : others) {
    EXPECT_TRUE(std::filesystem::exists(dir.file(name))) << name << " is nobody's of ours";
  }
  FlightRecorder nowhere({.dir = "/nonexistent", .before_s = 3, .after_s = 2, .files_max = 2}, 1000,
                         "redis", {});
  nowhere.keep(sample_of(1));
  EXPECT_EQ(nowhere.capture("x"), "");
}

TEST(FlightRecorder, AnAlarmThatFlapsDoesNotKeepOneFileOpen) {
  const TempDir dir;
  FlightRecorder recorder({.dir = dir.path(), .before_s = 1, .after_s = 2, .files_max = 50}, 1000,
                          "a/../b c", {});
  std::set<std::string> paths;
  for (uint64_t t = 1; t <= 100; ++t) {
    recorder.keep(sample_of(t));
    paths.insert(recorder.capture("again"));
  }
  EXPECT_EQ(paths.size(), 5U) << "of some 20 intervals each";
  const std::filesystem::path first = *paths.begin();
  EXPECT_EQ(first.parent_path(), dir.path());
  EXPECT_TRUE(first.filename().string().starts_with("epulse-alarm-a____b_c-2")) << first;
  const auto mode = std::filesystem::status(first).permissions();
  EXPECT_EQ(mode, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

// Seconds of a CPU that this thread has used: what others do beside it does not count.
double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

// Of all of them every figure is read, and judged by every rule.
TEST(ManyThreads, TenThousandAreSampledAndJudged) {
  constexpr size_t kThreads = 10'000;
  const Child target([] {
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 16384);
    for (size_t i = 1; i < kThreads; ++i) {
      pthread_t thread{};
      if (pthread_create(
              &thread, &small,
              [](void*) -> void* {
                for (;;) pause();
              },
              nullptr) != 0) {
        _exit(1);
      }
    }
  });
  kernel::SchedSampler sampler(target.pid());
  const double start = cpu_seconds();
  TargetSample sample;
  sample.sched = sampler.sample();
  ASSERT_EQ(sample.sched.threads.size(), kThreads);
  for (auto& thread : sample.sched.threads) thread.is_worker = true;
  const auto rules = metric_rules({}, 1000, false);
  std::vector<alerts::AlertRule> plain;
  plain.reserve(rules.size());
  for (const auto& rule : rules) plain.push_back(rule.rule);
  alerts::AlertEngine engine(plain);
  EXPECT_TRUE(engine.interval(observations(rules, sample)).empty());
  EXPECT_LT(cpu_seconds() - start, 3);
}

}  // namespace
}  // namespace epulse::daemon
