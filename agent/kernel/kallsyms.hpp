#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace epulse::kernel {

// The addresses of kernel functions, from /proc/kallsyms. A name that is absent, or whose address
// is hidden (kernel.kptr_restrict without CAP_SYSLOG), maps to 0.
std::map<std::string, uint64_t, std::less<>> kernel_addresses(
    const std::vector<std::string_view>& names, const std::string& path = "/proc/kallsyms");

}  // namespace epulse::kernel
