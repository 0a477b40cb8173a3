#include "agent/kernel/connections.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cstring>
#include <fstream>
#include <optional>
#include <string_view>

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
std::map<uint64_t, TcpEnds> tcp_connections(pid_t pid, const std::string& proc) {
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
      if (inode && *inode != 0) connections[*inode] = {*local, *peer};
    }
  }
  return connections;
}

}  // namespace epulse::kernel
