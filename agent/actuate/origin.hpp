#pragma once

#include <optional>
#include <string>

#include "agent/actuate/outcome.hpp"

namespace epulse::actuate {

// Where process ids and start times mean what they mean here: this boot of this host
// (/proc/sys/kernel/random/boot_id) and this pid namespace, "BOOT/INODE".
std::string origin();

// What is left to do here for a change of `there`; nullopt: the same place, so that its ids may be
// looked up, or one that is not known (empty).
std::optional<Undone> elsewhere(const std::string& there);

}  // namespace epulse::actuate
