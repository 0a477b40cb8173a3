#include "agent/kernel/kallsyms.hpp"

#include <charconv>
#include <fstream>

namespace epulse::kernel {

std::map<std::string, uint64_t, std::less<>> kernel_addresses(
    const std::vector<std::string_view>& names, const std::string& path) {
  std::map<std::string, uint64_t, std::less<>> addresses;
  for (const std::string_view name : names) addresses.emplace(name, 0);
  std::ifstream file(path);
  size_t missing = names.size();
  // "ffffffff81750750 t ep_poll_callback", some 150,000 lines.
  for (std::string line; missing != 0 && std::getline(file, line);) {
    const size_t type = line.find(' ');
    if (type == std::string::npos || type + 3 >= line.size()) continue;
    const auto wanted = addresses.find(std::string_view(line).substr(type + 3));
    if (wanted == addresses.end() || wanted->second != 0) continue;
    uint64_t address = 0;
    std::from_chars(line.data(), line.data() + type, address, 16);
    if (address == 0) continue;
    wanted->second = address;
    --missing;
  }
  return addresses;
}

}  // namespace epulse::kernel
