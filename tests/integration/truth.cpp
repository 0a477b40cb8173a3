#include "tests/integration/truth.hpp"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <map>
#include <set>
#include <string>

namespace epulse::test {
namespace {

const char* wanted_backend() {
  const char* name = getenv("EPULSE_BACKEND");
  return name == nullptr ? "auto" : name;
}

// By metric: whether every test that covers it has passed.
std::map<std::string, bool, std::less<>>& matrix() {
  static std::map<std::string, bool, std::less<>> cells;
  return cells;
}

std::set<std::string>& covered_by_this_test() {
  static std::set<std::string> metrics;
  return metrics;
}

class MatrixListener : public testing::EmptyTestEventListener {
 public:
  void OnTestStart(const testing::TestInfo& /*test*/) override { covered_by_this_test().clear(); }
  void OnTestEnd(const testing::TestInfo& test) override {
    if (test.result()->Skipped()) return;
    for (const std::string& metric : covered_by_this_test()) {
      bool& right = matrix().try_emplace(metric, true).first->second;
      right = right && test.result()->Passed();
    }
  }
  void OnTestProgramEnd(const testing::UnitTest& /*all*/) override {
    const probes::Attached attached = attach(getpid());
    for (const probes::MetricPlan& metric : attached.plan.metrics) {
      const auto cell = matrix().find(metric.name);
      fmt::print("EPULSE-CELL {} | {} | {}\n", to_string(attached.plan.backend), metric.name,
                 cell == matrix().end() ? "untested"
                 : cell->second         ? to_string(metric.quality)
                                        : "WRONG");
    }
  }
};

}  // namespace

void require(bool condition) {
  if (!condition) _exit(3);
}

Pair unix_pair() {
  int fds[2];
  require(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
  return {fds[0], fds[1]};
}

Pair tcp_pair() {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  require(bind(listener, generic, length) == 0 && listen(listener, 1) == 0);
  require(getsockname(listener, generic, &length) == 0);
  const int far = socket(AF_INET, SOCK_STREAM, 0);
  require(connect(far, generic, length) == 0);
  const int near = accept(listener, nullptr, nullptr);
  require(near >= 0);
  close(listener);
  return {near, far};
}

void write_byte(int fd) {
  require(write(fd, "x", 1) == 1);
}

void read_byte(int fd) {
  char byte = 0;
  require(read(fd, &byte, 1) == 1);
}

void await_byte(int fd) {
  char byte = 0;
  require(recv(fd, &byte, 1, MSG_PEEK) == 1);
}

void watch(int epoll, int fd, uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  require(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
}

void sleep_ns(uint64_t ns) {
  const timespec span{static_cast<time_t>(ns / 1'000'000'000),
                      static_cast<long>(ns % 1'000'000'000)};
  nanosleep(&span, nullptr);
}

void deliver(int count) {
  const int epoll = epoll_create1(0);
  const Pair pair = unix_pair();
  watch(epoll, pair.near, EPOLLIN);
  epoll_event event;
  for (int i = 0; i < count; ++i) {
    write_byte(pair.far);
    require(epoll_wait(epoll, &event, 1, 1000) == 1);
    read_byte(pair.near);
  }
}

void covers(std::initializer_list<std::string_view> metrics) {
  covered_by_this_test().insert(metrics.begin(), metrics.end());
}

probes::Attached attach(pid_t pid, probes::EpollProbeOptions options,
                        const probes::EpollProbe::WaitHandler& handler) {
  if (pid != 0) options.tgids = {pid};
  return probes::attach(options, wanted_backend(), handler);
}

model::WorkerStats total(probes::EpollProbe& probe) {
  model::WorkerStats sum;
  for (const auto& worker : probe.read().workers) sum.merge(worker);
  return sum;
}

void expect_within(uint64_t measured_ns, const Bounds& bounds) {
  EXPECT_GE(measured_ns, bounds.inner_ns);
  EXPECT_LE(measured_ns, bounds.outer_ns);
}

}  // namespace epulse::test

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (getenv("EPULSE_MATRIX") != nullptr) {
    testing::UnitTest::GetInstance()->listeners().Append(new epulse::test::MatrixListener);
  }
  return RUN_ALL_TESTS();
}
