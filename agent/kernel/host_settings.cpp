#include "agent/kernel/host_settings.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "agent/kernel/connections.hpp"

namespace epulse::kernel {
namespace {

// The words of a file; none when it is not there.
std::vector<std::string> words_of(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> words;
  for (std::string word; file >> word;) words.push_back(word);
  return words;
}

std::optional<uint64_t> number(const std::string& text) {
  std::istringstream in(text);
  uint64_t value = 0;
  if (!(in >> value)) return std::nullopt;
  return value;
}

std::optional<uint64_t> number_in(const std::string& path) {
  const auto words = words_of(path);
  return words.size() == 1 ? number(words[0]) : std::nullopt;
}

std::optional<std::array<uint64_t, 3>> three_in(const std::string& path) {
  const auto words = words_of(path);
  if (words.size() != 3) return std::nullopt;
  std::array<uint64_t, 3> all{};
  for (size_t i = 0; i < all.size(); ++i) {
    const auto value = number(words[i]);
    if (!value) return std::nullopt;
    all[i] = *value;
  }
  return all;
}

}  // namespace

bool has_own_network(pid_t pid) {
  const uint64_t theirs = network_namespace(pid);
  return theirs != 0 && theirs != network_namespace(getpid());
}

model::HostSettings host_settings(const std::string& proc) {
  const std::string core = proc + "/sys/net/core/";
  const std::string ipv4 = proc + "/sys/net/ipv4/";
  model::HostSettings settings;
  settings.somaxconn = number_in(core + "somaxconn");
  settings.busy_poll_us = number_in(core + "busy_poll");
  settings.busy_read_us = number_in(core + "busy_read");
  settings.tcp_rmem = three_in(ipv4 + "tcp_rmem");
  settings.tcp_wmem = three_in(ipv4 + "tcp_wmem");
  const auto chosen = words_of(ipv4 + "tcp_congestion_control");
  if (chosen.size() == 1) settings.congestion_control = chosen[0];
  settings.congestion_controls = words_of(ipv4 + "tcp_available_congestion_control");
  return settings;
}

// Pairs of lines, "TcpExt: NAME NAME ..." and "TcpExt: VALUE VALUE ...".
std::optional<model::ListenCounters> listen_counters(pid_t pid, const std::string& proc) {
  std::ifstream file(fmt::format("{}/{}/net/netstat", proc, pid));
  std::string names_line;
  std::string values_line;
  while (std::getline(file, names_line) && std::getline(file, values_line)) {
    std::istringstream names(names_line);
    std::istringstream values(values_line);
    std::string name;
    std::string value;
    std::optional<uint64_t> overflows;
    std::optional<uint64_t> drops;
    while (names >> name && values >> value) {
      if (name == "ListenOverflows") overflows = number(value);
      if (name == "ListenDrops") drops = number(value);
    }
    if (overflows && drops) return model::ListenCounters{*overflows, *drops};
  }
  return std::nullopt;
}

}  // namespace epulse::kernel
