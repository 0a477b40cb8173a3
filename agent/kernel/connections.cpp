#include "agent/kernel/connections.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <array>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string_view>
#include <system_error>

namespace epulse::kernel {
namespace {

constexpr std::string_view kListening = "0A";
constexpr size_t kWordDigits = 8;

template <typename Number>
std::optional<Number> number_of(std::string_view digits, int base) {
  Number value{};
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

std::string_view next_word(std::string_view& line) {
  const size_t begin = std::min(line.find_first_not_of(' '), line.size());
  const size_t end = std::min(line.find(' ', begin), line.size());
  const std::string_view word = line.substr(begin, end - begin);
  line.remove_prefix(end);
  return word;
}

std::string text_of(const std::array<unsigned char, 16>& address, size_t bytes, uint16_t port) {
  constexpr std::array<unsigned char, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  std::array<char, INET6_ADDRSTRLEN> host{};
  const bool mapped =
      bytes == 16 && std::memcmp(address.data(), kMapped.data(), kMapped.size()) == 0;
  if (bytes == 16 && !mapped) {
    inet_ntop(AF_INET6, address.data(), host.data(), host.size());
    return fmt::format("[{}]:{}", host.data(), port);
  }
  inet_ntop(AF_INET, address.data() + (mapped ? kMapped.size() : 0), host.data(), host.size());
  return fmt::format("{}:{}", host.data(), port);
}

// "0100007F:2329": words of 32 bits as this machine has them in memory, and the port
// (Documentation/networking/proc_net_tcp.rst).
std::optional<std::string> address_of(std::string_view word) {
  std::array<unsigned char, 16> address{};
  const size_t colon = word.find(':');
  if (colon != kWordDigits && colon != 4 * kWordDigits) return std::nullopt;
  for (size_t at = 0; at < colon; at += kWordDigits) {
    const auto part = number_of<uint32_t>(word.substr(at, kWordDigits), 16);
    if (!part) return std::nullopt;
    std::memcpy(address.data() + at / 2, &*part, sizeof(*part));
  }
  const auto port = number_of<uint16_t>(word.substr(colon + 1), 16);
  if (!port) return std::nullopt;
  return text_of(address, colon / 2, *port);
}

}  // namespace

std::set<uint64_t> socket_inodes(pid_t pid, const std::string& proc) {
  namespace fs = std::filesystem;
  constexpr std::string_view kPrefix = "socket:[";
  std::set<uint64_t> inodes;
  std::error_code gone;
  std::error_code ended;  // not thrown by the iterator when the process ends meanwhile
  for (fs::directory_iterator at(fmt::format("{}/{}/fd", proc, pid), ended);
       !ended && at != fs::directory_iterator(); at.increment(ended)) {
    const std::string link = fs::read_symlink(at->path(), gone).string();
    if (!link.starts_with(kPrefix) || !link.ends_with(']')) continue;
    const auto inode = number_of<uint64_t>(
        std::string_view(link).substr(kPrefix.size(), link.size() - kPrefix.size() - 1), 10);
    if (inode) inodes.insert(*inode);
  }
  return inodes;
}

uint64_t network_namespace(pid_t pid, const std::string& proc) {
  struct stat status {};
  return stat(fmt::format("{}/{}/ns/net", proc, pid).c_str(), &status) == 0 ? status.st_ino : 0;
}

// "tfd: 9 events: 19 data: 7f.. pos:0 ino:2b1c5 sdev:8" (fs/eventpoll.c, ep_show_fdinfo).
std::set<uint64_t> watched_inodes(pid_t pid, int epfd, const std::string& proc) {
  std::set<uint64_t> inodes;
  std::ifstream file(fmt::format("{}/{}/fdinfo/{}", proc, pid, epfd));
  for (std::string line; std::getline(file, line);) {
    const size_t at = line.find(" ino:");
    if (!line.starts_with("tfd:") || at == std::string::npos) continue;
    std::string_view rest = std::string_view(line).substr(at + 5);
    if (const auto inode = number_of<uint64_t>(next_word(rest), 16)) inodes.insert(*inode);
  }
  return inodes;
}

// "sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode ...".
std::map<uint64_t, TcpEnds> tcp_connections(pid_t pid, const std::set<uint64_t>& wanted,
                                            const std::string& proc) {
  std::map<uint64_t, TcpEnds> connections;
  for (const char* table : {"tcp", "tcp6"}) {
    std::ifstream file(fmt::format("{}/{}/net/{}", proc, pid, table));
    std::string line;
    std::getline(file, line);
    while (std::getline(file, line)) {
      std::string_view rest(line);
      next_word(rest);
      const auto local = address_of(next_word(rest));
      const auto peer = address_of(next_word(rest));
      if (next_word(rest) == kListening || !local || !peer) continue;
      for (int field = 0; field < 5; ++field) next_word(rest);
      const auto inode = number_of<uint64_t>(next_word(rest), 10);
      if (inode && wanted.contains(*inode)) connections[*inode] = {*local, *peer};
    }
  }
  return connections;
}

}  // namespace epulse::kernel
