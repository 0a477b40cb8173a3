#include "common/boot_id.hpp"

#include <fstream>

namespace epulse {

std::string boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string line;
  std::getline(file, line);
  return line;
}

}  // namespace epulse
