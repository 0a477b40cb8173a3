#include "agent/kernel/listeners.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <system_error>

namespace epulse::kernel {
namespace {

namespace fs = std::filesystem;

// "socket:[INODE]", once for each socket however many descriptors it has.
std::set<std::string> socket_inodes(const std::string& process) {
  std::set<std::string> inodes;
  std::error_code gone;
  std::error_code ended;  // not thrown by the iterator when the process ends meanwhile
  for (fs::directory_iterator at(process + "/fd", ended); !ended && at != fs::directory_iterator();
       at.increment(ended)) {
    const std::string link = fs::read_symlink(at->path(), gone).string();
    constexpr std::string_view kPrefix = "socket:[";
    if (!link.starts_with(kPrefix) || !link.ends_with(']')) continue;
    inodes.insert(link.substr(kPrefix.size(), link.size() - kPrefix.size() - 1));
  }
  return inodes;
}

}  // namespace

// "sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode ...", st 0A is LISTEN
// (Documentation/networking/proc_net_tcp.rst).
size_t listeners_of_one_port(pid_t pid, const std::string& proc) {
  const std::string process = fmt::format("{}/{}", proc, pid);
  const std::set<std::string> ours = socket_inodes(process);
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
      std::string inode;
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
  const std::set<std::string> ours = socket_inodes(process);
  std::vector<std::string> paths;
  std::ifstream file(process + "/net/unix");
  std::string line;
  std::getline(file, line);
  while (std::getline(file, line)) {
    std::istringstream fields(line);
    std::string skipped;
    std::string flags;
    std::string type;
    std::string inode;
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
