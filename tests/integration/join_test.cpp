// Known delays, one at each stage of a message's way, and what `epulse report --join` makes of
// them.
#include <fmt/format.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <atomic>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <thread>

#include "agent/kernel/sched_sampler.hpp"
#include "tests/integration/scene.hpp"

namespace epulse::test {
namespace {

using kernel::monotonic_ns;
using nlohmann::json;

struct Span {
  uint64_t from_ns = 0;
  uint64_t to_ns = 0;
};

model::CpuSet all_cpus() {
  return kernel::thread_affinity(0).value_or(model::CpuSet{});
}

bool real_time_allowed() {
  static const bool allowed = Program({"chrt", "-f", "1", "true"}).wait() == 0;
  return allowed;
}

std::vector<std::string> on_cpu(int cpu, std::vector<std::string> command) {
  command.insert(command.begin(), {"taskset", "-c", std::to_string(cpu)});
  return command;
}

// A server, a load on it, a recording of the one by epulse and of the other by epulse-load.
class JoinScene {
 public:
  explicit JoinScene(std::vector<std::string> server)
      : server_(on_cpu(server_cpu(), std::move(server))) {}

  static int server_cpu() { return all_cpus().first(); }

  // `more`: of epulse-load. `meanwhile` injects, and returns when the load may end.
  void run(std::vector<std::string> more, const std::function<void(Program&)>& meanwhile) {
    std::smatch match;
    std::string line;
    ASSERT_TRUE(eventually([&] {
      line = server_.out();
      return std::regex_search(line, match, std::regex("listening on (127\\.0\\.0\\.1:[0-9]+)"));
    })) << server_.err();
    Program recorder({EPULSE, "record", "-p", std::to_string(server_.pid()), "-I", "0.2",
                      "--sample-every", "1", "--overhead-budget", "0", "-o", data()});
    ASSERT_TRUE(eventually([&] { return std::filesystem::exists(data()); })) << recorder.err();
    more.insert(more.begin(), {EPULSE_LOAD, "ws://" + match[1].str() + "/", "--progress", "0",
                               "--record", load()});
    // What else runs on this machine must not make the client late: that would be the client's.
    if (real_time_allowed()) more.insert(more.begin(), {"chrt", "-f", "1"});
    const int other_cpu = all_cpus().next(server_cpu());
    Program load_run(on_cpu(other_cpu < 0 ? server_cpu() : other_cpu, std::move(more)));
    meanwhile(load_run);
    ASSERT_EQ(load_run.wait(), 0) << load_run.out() << load_run.err();
    recorder.signal(SIGINT);
    recorder.wait();
    Program text({EPULSE, "report", "-i", data(), "--join", load()});
    text.wait();
    text_ = text.out() + text.err();
    Program report({EPULSE, "report", "-i", data(), "--join", load(), "-j"});
    EXPECT_EQ(report.wait(), 0) << report.err();
    result_ = json::parse(report.out());
    EXPECT_EQ(result_["of_unknown_connections"], 0);
  }

  // "all", "p99" or "p99.9".
  const json& group(const std::string& name) const {
    for (const json& group : result_["groups"]) {
      if (group["name"] == name) return group;
    }
    return result_["groups"].at(0);
  }
  double mean_ns(const std::string& name, const std::string& stage) const {
    return group(name)["stages"][stage + "_ns"].get<double>();
  }
  double sum_ns(const std::string& stage) const {
    return mean_ns("all", stage) * group("all")["messages"].get<double>();
  }
  // So long were messages on their way while `spans` lasted, by the client's own record.
  double on_the_way_ns(const std::vector<Span>& spans) const {
    double sum = 0;
    std::istringstream lines(read_text(load()));
    for (std::string line; std::getline(lines, line);) {
      const json message = json::parse(line);
      if (!message.contains("m")) continue;
      const auto due = message["m"][2].get<uint64_t>();
      const auto received = message["m"][4].get<uint64_t>();
      for (const Span& span : spans) {
        const uint64_t from = std::max(due, span.from_ns);
        const uint64_t to = std::min(received, span.to_ns);
        if (to > from) sum += static_cast<double>(to - from);
      }
    }
    return sum;
  }
  // How long the server took for a message, where it always had one.
  double service_ns() const {
    const json head = json::parse(read_text(load()).substr(0, read_text(load()).find('\n')));
    return (head["end_ns"].get<double>() - head["start_ns"].get<double>()) /
           head["messages"].get<double>();
  }
  const std::string& text() const { return text_; }

 private:
  std::string data() const { return directory_.file("epulse.data"); }
  std::string load() const { return directory_.file("load.json"); }

  TempDir directory_;
  Program server_;
  std::string text_;
  json result_;
};

void pause_ns(uint64_t ns) {
  std::this_thread::sleep_for(std::chrono::nanoseconds(ns));
}

// What is not within a tenth of what was injected, or not the largest stage; "" when all is as it
// should be.
std::string off(double measured, double injected, const std::set<std::string>& stages,
                const JoinScene& scene) {
  const auto largest = scene.group("all")["largest"].get<std::string>();
  if (std::abs(measured - injected) <= injected / 10 && stages.contains(largest)) return "";
  return fmt::format("measured {:.0f} ns, injected {:.0f} ns, largest {}\n{}", measured, injected,
                     largest, scene.text());
}

// Others on this machine may disturb a try; what is wrong is wrong in each. `scene` returns what
// off() does.
void expect_in_some_tries(const std::function<std::string()>& scene) {
  std::string problems;
  for (int tries = 0; tries < 5 && !::testing::Test::HasFatalFailure(); ++tries) {
    const std::string problem = scene();
    if (problem.empty()) return;
    problems += problem;
  }
  ADD_FAILURE() << problems;
}

// Somebody else's server, which sleeps in its handler; asyncio waits with epoll.
TEST(Join, SleepInTheHandlerIsTheHandlers) {
  SKIP_WITHOUT_BPF();
  if (Program({"/usr/bin/python3", "-c", "import websockets"}).wait() != 0) {
    GTEST_SKIP() << "python3-websockets is not installed; tools/setup test does it";
  }
  constexpr double kSleepNs = 10e6;
  expect_in_some_tries([&] {
    JoinScene scene({"/usr/bin/python3", "-c",
                     "import asyncio, time, websockets\n"
                     "async def echo(socket):\n"
                     "  async for message in socket:\n"
                     "    time.sleep(0.010)\n"
                     "    await socket.send(message)\n"
                     "async def main():\n"
                     "  server = await websockets.serve(echo, '127.0.0.1', 0, compression=None)\n"
                     "  host, port = server.sockets[0].getsockname()\n"
                     "  print(f'listening on {host}:{port}', flush=True)\n"
                     "  await asyncio.Future()\n"
                     "asyncio.run(main())\n"});
    scene.run({"-c", "1", "-d", "2"}, [](Program&) {});
    EXPECT_TRUE(contains(scene.text(), "all: handler ")) << scene.text();
    return off(scene.mean_ns("all", "handler"), kSleepNs, {"handler"}, scene);
  });
}

// Thirty-two messages at once for a server that takes one event at a time, and half a millisecond
// for each: every one waits for thirty-one others. The server gives way to ksoftirqd, else its own
// answers would wait for the CPU that it burns: the network's, and rightly so.
TEST(Join, BurstIsTheQueues) {
  SKIP_WITHOUT_BPF();
  expect_in_some_tries([&] {
    JoinScene scene({"nice", EPULSE_WS, "--listen", "127.0.0.1:0", "--workers", "1", "--engine",
                     "epoll", "--epoll-batch", "1", "--handler-delay-us", "500"});
    scene.run({"-c", "32", "-d", "2"}, [](Program&) {});
    EXPECT_GT(scene.service_ns(), 500e3);
    return off(scene.mean_ns("all", "queue"), 31 * scene.service_ns(), {"queue"}, scene);
  });
}

// A real-time thread that has a CPU for ten milliseconds again and again, and notes when.
class Hog {
 public:
  explicit Hog(int cpu) : thread_([this, cpu] { run(cpu); }) {}
  // Why it could not; 0: it could.
  int stop() {
    over_ = true;
    thread_.join();
    return refused_;
  }
  const std::vector<Span>& spins() const { return spins_; }

 private:
  void run(int cpu) {
    const sched_param priority{.sched_priority = 1};
    const cpu_set_t set = model::CpuSet::of(cpu).native();
    refused_ = pthread_setaffinity_np(pthread_self(), sizeof set, &set);
    if (refused_ == 0) refused_ = pthread_setschedparam(pthread_self(), SCHED_FIFO, &priority);
    while (refused_ == 0 && !over_) {
      pause_ns(30'000'000);
      const uint64_t from = monotonic_ns();
      while (monotonic_ns() < from + 10'000'000) {
      }
      spins_.push_back({from, monotonic_ns()});
    }
  }

  std::atomic<bool> over_ = false;
  int refused_ = 0;
  std::vector<Span> spins_;
  std::thread thread_;
};

TEST(Join, HogOfTheCpuIsTheRunQueues) {
  SKIP_WITHOUT_BPF();
  SKIP_ON_ONE_CPU();
  int refused = 0;
  expect_in_some_tries([&]() -> std::string {
    JoinScene scene({EPULSE_WS, "--listen", "127.0.0.1:0", "--workers", "1", "--engine", "epoll"});
    std::vector<Span> spins;
    scene.run({"-c", "1", "-r", "1000", "-d", "3"}, [&](Program& load) {
      Hog hog(JoinScene::server_cpu());
      load.wait();
      refused = hog.stop();
      spins = hog.spins();
    });
    if (refused != 0) return "";
    EXPECT_GT(spins.size(), 10U);
    return off(scene.sum_ns("run_queue"), scene.on_the_way_ns(spins), {"run_queue"}, scene);
  });
  if (refused != 0) GTEST_SKIP() << "no real-time priority here: errno " << refused;
}

// The client is stopped for sixty milliseconds again and again.
TEST(Join, SlowReaderIsTheClients) {
  SKIP_WITHOUT_BPF();
  expect_in_some_tries([&] {
    JoinScene scene({EPULSE_WS, "--listen", "127.0.0.1:0", "--workers", "1", "--engine", "epoll"});
    std::vector<Span> stops;
    // Long ones: a hypervisor that takes a CPU away for 4 ms now and then is the client's, too.
    scene.run({"-c", "1", "-r", "1000", "-d", "2"}, [&](Program& load) {
      pause_ns(200'000'000);
      for (int i = 0; i < 14; ++i) {
        const uint64_t from = monotonic_ns();
        load.signal(SIGSTOP);
        pause_ns(60'000'000);
        load.signal(SIGCONT);
        stops.push_back({from, monotonic_ns()});
        pause_ns(40'000'000);
      }
    });
    const double client = scene.sum_ns("to_send") + scene.sum_ns("network_and_client");
    return off(client, scene.on_the_way_ns(stops), {"to_send", "network_and_client"}, scene);
  });
}

// The connections tell whose a message is.
TEST(Join, EveryMessageIsLaidToItsWorker) {
  SKIP_WITHOUT_BPF();
  SKIP_ON_ONE_CPU();
  JoinScene scene({EPULSE_WS, "--listen", "127.0.0.1:0", "--workers", "4", "--engine", "epoll"});
  scene.run({"-c", "40", "-r", "2000", "-d", "2"}, [](Program&) {});
  const json& workers = scene.group("all")["workers"];
  uint64_t messages = 0;
  for (const json& worker : workers) messages += worker["messages"].get<uint64_t>();
  EXPECT_GE(workers.size(), 2U) << scene.text();
  EXPECT_EQ(messages, scene.group("all")["messages"].get<uint64_t>());
}

// Whose older files have made room for newer ones: connections that opened long ago are there.
TEST(Join, ARingHasTheConnections) {
  SKIP_WITHOUT_BPF();
  const TempDir directory;
  const std::string data = directory.file("data");
  Program server({EPULSE_WS, "--listen", "127.0.0.1:0", "--workers", "1", "--engine", "epoll"});
  std::smatch match;
  std::string line;
  ASSERT_TRUE(eventually([&] {
    line = server.out();
    return std::regex_search(line, match, std::regex("listening on (127\\.0\\.0\\.1:[0-9]+)"));
  }));
  const Program load({EPULSE_LOAD, "ws://" + match[1].str() + "/", "-c", "7", "-r", "4000", "-d",
                      "60", "--progress", "0"});
  Program recorder({EPULSE, "record", "-p", std::to_string(server.pid()), "-I", "0.1", "-d", "3",
                    "--ring", "--max-size", "80K", "--sample-every", "1", "--overhead-budget", "0",
                    "-o", data});
  ASSERT_EQ(recorder.wait(), 0) << recorder.err();
  ASSERT_TRUE(contains(recorder.err(), "have made room")) << recorder.err();
  Program script({EPULSE, "script", "-i", data});
  EXPECT_EQ(script.wait(), 0) << script.err();
  std::set<std::string> peers;
  std::istringstream lines(script.out());
  for (std::string text; std::getline(lines, text);) {
    if (contains(text, " connection: ")) peers.insert(text.substr(text.rfind(' ')));
  }
  EXPECT_EQ(peers.size(), 7U) << recorder.err();
}

TEST(Join, WhatCannotBeJoinedIsSaid) {
  SKIP_WITHOUT_BPF();
  const TempDir directory;
  Program server({EPULSE_WS, "--listen", "127.0.0.1:0", "--workers", "1", "--engine", "epoll"});
  ASSERT_TRUE(eventually([&] { return contains(server.out(), "listening on"); }));
  Program recorder({EPULSE, "record", "-p", std::to_string(server.pid()), "-d", "0.2", "-o",
                    directory.file("data")});
  EXPECT_EQ(recorder.wait(), 0) << recorder.err();
  const auto said = [&](const std::string& record) {
    std::ofstream(directory.file("load.json")) << record;
    Program report(
        {EPULSE, "report", "-i", directory.file("data"), "--join", directory.file("load.json")});
    EXPECT_EQ(report.wait(), 2);
    return report.err();
  };
  const std::string head =
      "{\"type\":\"load_record\",\"schema_version\":1,\"clock\":\"monotonic\",\"boot_id\":"
      "\"another\","
      "\"url\":\"ws://h/\",\"mode\":\"open\",\"start_ns\":1,\"end_ns\":2,\"sample_every\":1}\n";
  EXPECT_TRUE(contains(said(""), "is empty"));
  EXPECT_TRUE(contains(said("nonsense\n"), "line 1"));
  EXPECT_TRUE(contains(said("{\"type\":\"other\"}\n"), "does not begin with a load_record"));
  EXPECT_TRUE(contains(said(head + "{\"m\":[0,0,3,2,1]}\n"), "in this order"));
  EXPECT_TRUE(contains(said(head), "record it with --sample-every 1"));
}

}  // namespace
}  // namespace epulse::test
