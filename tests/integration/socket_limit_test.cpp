// Refused buffer memory: the TCP memory of a control group is used up.
#include <fmt/format.h>
#include <sys/stat.h>

#include <fstream>
#include <string>
#include <vector>

#include "tests/integration/sockets.hpp"

namespace epulse::test {
namespace {

// The memory controller of the control groups of version 1 limits TCP memory by itself. Empty where
// it is not mounted.
std::string own_memory_group() {
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const std::string prefix = ":memory:";
    const size_t at = line.find(prefix);
    if (at != std::string::npos) return "/sys/fs/cgroup/memory" + line.substr(at + prefix.size());
  }
  return "";
}

class MemoryGroup {
 public:
  MemoryGroup() {
    const std::string own = own_memory_group();
    if (own.empty()) return;
    path_ = fmt::format("{}/epulse-test-{}", own, getpid());
    made_ = mkdir(path_.c_str(), 0700) == 0;
  }
  ~MemoryGroup() {
    if (made_) rmdir(path_.c_str());
  }
  MemoryGroup(const MemoryGroup&) = delete;
  MemoryGroup& operator=(const MemoryGroup&) = delete;

  explicit operator bool() const { return made_; }
  bool write(const char* file, long value) const {
    std::ofstream stream(path_ + "/" + file);
    stream << value << std::flush;
    return stream.good();
  }

 private:
  std::string path_;
  bool made_ = false;
};

constexpr long kPlenty = 1L << 30;
constexpr long kLittle = 1L << 20;

struct Ends {
  int sender;
  int receiver;
};

TEST_F(Sockets, LimitHitsAreThoseOfTheSocketThatWasRefused) {
  const MemoryGroup group;
  if (!group || !group.write("memory.kmem.tcp.limit_in_bytes", kPlenty)) {
    GTEST_SKIP() << "no memory control group of version 1 can be made here";
  }
  Child<Ends> child([](Ends& ends) {
    const Socket listener(AF_INET, SOCK_STREAM);
    const sockaddr_in address = loopback(bind_to_loopback(listener.fd()));
    EXPECT_EQ(listen(listener.fd(), 1), 0);
    ends.sender = socket(AF_INET, SOCK_STREAM, 0);
    EXPECT_EQ(connect(ends.sender, reinterpret_cast<const sockaddr*>(&address), sizeof(address)),
              0);
    ends.receiver = accept(listener.fd(), nullptr, nullptr);
  });
  ASSERT_TRUE(group.write("cgroup.procs", child.pid()));
  ASSERT_TRUE(child.work());
  probes::SocketProbe probe({.tgid = child.pid()}, facts_);
  ASSERT_EQ(find(probe.read(), child.result().sender)->limit_hits, 0U);
  const Socket sender = socket_of(child.pid(), child.result().sender);
  ASSERT_GE(sender.fd(), 0);
  // A size that nobody has set shrinks under the refusal instead (sk_stream_moderate_sndbuf()).
  const int wide = 1 << 20;
  setsockopt(sender.fd(), SOL_SOCKET, SO_SNDBUFFORCE, &wide, sizeof(wide));
  const std::vector<char> bytes(100'000);
  ASSERT_EQ(send(sender.fd(), bytes.data(), bytes.size(), MSG_DONTWAIT), 100'000);
  ASSERT_EQ(probe.read().events[SOCKET_EVENT_LIMIT_HIT], 0U);
  ASSERT_TRUE(group.write("memory.kmem.tcp.limit_in_bytes", kLittle));
  while (send(sender.fd(), bytes.data(), bytes.size(), MSG_DONTWAIT) > 0) {
  }
  const model::SocketPressure refused = probe.read();
  const socket_record* socket = find(refused, child.result().sender);
  ASSERT_NE(socket, nullptr);
  EXPECT_GT(socket->limit_hits, 0U);
  // Nothing else of this process was refused.
  uint64_t sum = 0;
  for (const socket_record& each : refused.sockets) sum += each.limit_hits;
  EXPECT_EQ(refused.events[SOCKET_EVENT_LIMIT_HIT], sum);
  EXPECT_EQ(socket->queue_full, 0U);
}

}  // namespace
}  // namespace epulse::test
