#include "agent/kernel/listeners.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <vector>

#include "common/unique_fd.hpp"
#include "tests/agent/temp_dir.hpp"

namespace epulse::kernel {
namespace {

UniqueFd listener(sockaddr_in& address) {
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  EXPECT_EQ(setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on), 0);
  EXPECT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  socklen_t size = sizeof address;
  EXPECT_EQ(getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  EXPECT_EQ(listen(fd.get(), 1), 0);
  return fd;
}

TEST(Listeners, SocketsThatShareAPortAreCountedOnceEach) {
  EXPECT_EQ(listeners_of_one_port(getpid()), 0U);
  sockaddr_in shared{AF_INET, 0, {htonl(INADDR_LOOPBACK)}, {}};
  sockaddr_in alone{AF_INET, 0, {htonl(INADDR_LOOPBACK)}, {}};
  const UniqueFd single = listener(alone);
  EXPECT_EQ(listeners_of_one_port(getpid()), 1U);
  std::vector<UniqueFd> three;
  three.reserve(3);
  for (int i = 0; i < 3; ++i) three.push_back(listener(shared));
  const UniqueFd copy(dup(three[0].get()));
  EXPECT_EQ(listeners_of_one_port(getpid()), 3U);
  EXPECT_EQ(listeners_of_one_port(-1), 0U);
}

TEST(Listeners, UnixSocketsThatListenAreFoundByPath) {
  const TempDir dir;
  const std::string path = dir.file("a socket");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  const UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(unix_listeners(getpid()), std::vector<std::string>{}) << "bound, but not listening";
  ASSERT_EQ(listen(fd.get(), 1), 0);
  EXPECT_EQ(unix_listeners(getpid()), std::vector<std::string>{path});
  EXPECT_EQ(unix_listeners(getppid()), std::vector<std::string>{}) << "of another process";
}

}  // namespace
}  // namespace epulse::kernel
