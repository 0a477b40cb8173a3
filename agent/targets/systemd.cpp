#include "agent/targets/systemd.hpp"

#include <array>
#include <cstdio>
#include <memory>

namespace epulse::targets {
namespace {

// systemd.unit(5). Nothing among these means anything to a shell within quotes.
constexpr const char* kUnitNameCharacters =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.\\@";

struct ClosePipe {
  void operator()(FILE* pipe) const { pclose(pipe); }
};

}  // namespace

std::optional<std::string> control_group_of_unit(const std::string& unit) {
  if (unit.find_first_not_of(kUnitNameCharacters) != std::string::npos) return std::nullopt;
  const std::string command =
      "systemctl show --property=ControlGroup --value -- '" + unit + "' 2>/dev/null";
  const std::unique_ptr<FILE, ClosePipe> pipe(popen(command.c_str(), "re"));
  if (!pipe) return std::nullopt;
  std::array<char, 4096> line{};
  if (fgets(line.data(), line.size(), pipe.get()) == nullptr) return std::nullopt;
  std::string group = line.data();
  if (group.ends_with('\n')) group.pop_back();
  if (group.empty()) return std::nullopt;
  return group;
}

}  // namespace epulse::targets
