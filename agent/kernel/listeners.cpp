#include "agent/kernel/listeners.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "agent/kernel/connections.hpp"

namespace epulse::kernel {

// "sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode ...", st 0A is LISTEN
// (Documentation/networking/proc_net_tcp.rst).
size_t listeners_of_one_port(pid_t pid, const std::string& proc) {
  const std::string process = fmt::format("{}/{}", proc, pid);
  const std::set<uint64_t> ours = socket_inodes(pid, proc);
  std::map<std::string, size_t> by_address;
  for (const char* table : {"tcp", "tcp6"}) {
    std::ifstream file(fmt::format("{}/net/{}", process, table));
    std::string line;
    std::getline(file, line);
    while (std::getline(file, line)) {
      std::istringstream fields(line);
      std::string skipped;
      std::string local;
      std::string state;
      uint64_t inode = 0;
      fields >> skipped >> local >> skipped >> state;
      for (int field = 0; field < 5; ++field) fields >> skipped;
      fields >> inode;
      if (fields && state == "0A" && ours.contains(inode)) ++by_address[local];
    }
  }
  size_t most = 0;
  for (const auto& [address, count] : by_address) most = std::max(most, count);
  return most;
}

// "Num RefCount Protocol Flags Type St Inode Path"; Flags has __SO_ACCEPTCON (0x10000) of
// listeners, Type 0001 is SOCK_STREAM (net/unix/af_unix.c, unix_seq_show).
std::vector<std::string> unix_listeners(pid_t pid, const std::string& proc) {
  const std::string process = fmt::format("{}/{}", proc, pid);
  const std::set<uint64_t> ours = socket_inodes(pid, proc);
  std::vector<std::string> paths;
  std::ifstream file(process + "/net/unix");
  std::string line;
  std::getline(file, line);
  while (std::getline(file, line)) {
    std::istringstream fields(line);
    std::string skipped;
    std::string flags;
    std::string type;
    uint64_t inode = 0;
    std::string path;
    fields >> skipped >> skipped >> skipped >> flags >> type >> skipped >> inode >> std::ws;
    std::getline(fields, path);
    if (flags == "00010000" && type == "0001" && path.starts_with('/') && ours.contains(inode)) {
      paths.push_back(path);
    }
  }
  return paths;
}

}  // namespace epulse::kernel
