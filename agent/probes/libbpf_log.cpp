#include "agent/probes/libbpf_log.hpp"

#include <bpf/libbpf.h>

#include <array>
#include <cstdarg>
#include <cstdio>
#include <sstream>

namespace epulse::probes {
namespace {

std::string& captured() {
  static std::string text;
  return text;
}

int keep(libbpf_print_level level, const char* format, va_list arguments) {
  if (level == LIBBPF_DEBUG) return 0;
  std::array<char, 65536> line;
  const int length = vsnprintf(line.data(), line.size(), format, arguments);
  if (length > 0) captured() += line.data();
  return length;
}

}  // namespace

LibbpfLog::LibbpfLog() {
  captured().clear();
  libbpf_set_print(keep);
}

LibbpfLog::~LibbpfLog() {
  libbpf_set_print(nullptr);
}

std::string LibbpfLog::cause() {
  std::istringstream lines(captured());
  std::string best;
  std::string before;
  for (std::string line; std::getline(lines, line); before = line) {
    // The verifier's message stands just before its statistics.
    if (line.starts_with("processed ") && !before.empty()) return before;
    if (best.empty() && line.starts_with("libbpf: ")) best = line.substr(8);
  }
  return best;
}

}  // namespace epulse::probes
