#include "agent/control/state_dir.hpp"

#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "agent/actuate/journal.hpp"
#include "agent/error.hpp"

namespace epulse::control {

std::optional<gid_t> prepare_state_dir(const std::string& path, const std::string& group) {
  const UniqueFd dir = actuate::open_state_dir(path);
  if (group.empty()) return std::nullopt;
  errno = 0;
  const struct group* const found = getgrnam(group.c_str());
  if (found == nullptr) {
    fail("there is no group {} ({}); see agent.group", group,
         errno == 0 ? "not in /etc/group" : errno_text(errno));
  }
  // To look at the names in it; the files in it stay ours alone. By the set-group-ID bit the socket
  // gets the group without CAP_CHOWN, which is given up by then.
  if (fchown(dir.get(), static_cast<uid_t>(-1), found->gr_gid) != 0 ||
      fchmod(dir.get(), S_ISGID | S_IRWXU | S_IRGRP | S_IXGRP) != 0) {
    fail("cannot let group {} look into {}: {}", group, path, errno_text(errno));
  }
  return found->gr_gid;
}

}  // namespace epulse::control
