#pragma once

#include <optional>
#include <string>

#include "agent/actuate/outcome.hpp"

namespace epulse::actuate {

// Where process ids and start times mean what they mean here: this boot of this host
// (/proc/sys/kernel/random/boot_id) and this pid namespace, "BOOT/INODE". Read once; empty where it
// cannot be told.
const std::string& origin();

enum class Place {
  kHere,            // or not known: the ids may be looked up
  kOtherBoot,       // all that they named is gone
  kOtherNamespace,  // they name other processes there than here
};
Place place_of(const std::string& origin);

// What is left to do here for a change that was made there; nullopt: as for any other.
std::optional<Undone> elsewhere(const std::string& origin);

}  // namespace epulse::actuate
