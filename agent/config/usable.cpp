#include "agent/config/usable.hpp"

#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "agent/error.hpp"

namespace epulse::config {
namespace {

constexpr mode_t kOthersWrite = S_IWGRP | S_IWOTH;

void require_program(const std::string& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) {
    fail("alerts.exec.command: {}: {}; name a program that is there, or leave it empty", path,
         errno_text(errno));
  }
  if (!S_ISREG(status.st_mode) || access(path.c_str(), X_OK) != 0) {
    fail("alerts.exec.command: {} cannot be run: {}", path,
         S_ISREG(status.st_mode) ? errno_text(errno) + "; chmod +x it" : "it is no file");
  }
  // It runs as we do.
  if ((status.st_mode & kOthersWrite) != 0 || (status.st_uid != 0 && status.st_uid != geteuid())) {
    fail(
        "alerts.exec.command: others may change {} (owner {}, mode {:o}); make it your own, and "
        "chmod go-w it",
        path, status.st_uid, status.st_mode & 07777U);
  }
}

void require_directory(const std::string& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) {
    fail("alerts.capture.dir: {}: {}; make the directory, or leave it empty", path,
         errno_text(errno));
  }
  if (!S_ISDIR(status.st_mode)) fail("alerts.capture.dir: {} is no directory", path);
  if (access(path.c_str(), W_OK | X_OK) != 0) {
    fail("alerts.capture.dir: nothing can be written in {}: {}", path, errno_text(errno));
  }
  // They could put links where we write.
  if ((status.st_mode & kOthersWrite) != 0 && (status.st_mode & S_ISVTX) == 0) {
    fail("alerts.capture.dir: others may write in {}; chmod go-w it, or choose another", path);
  }
}

// A misspelt one would shut out everybody but root, who was meant to be let in.
void require_group(const std::string& name) {
  errno = 0;
  if (getgrnam(name.c_str()) != nullptr) return;
  fail(
      "agent.group: there is no group {}{}; name one that is there, make it (groupadd {}), or "
      "leave it empty",
      name, errno == 0 ? "" : fmt::format(" ({})", errno_text(errno)), name);
}

}  // namespace

void require_usable(const Config& config) {
  const Alerts& alerts = config.alerts;
  if (!config.agent.group.empty()) require_group(config.agent.group);
  if (!alerts.exec.command.empty()) require_program(alerts.exec.command[0]);
  if (!alerts.capture.dir.empty()) require_directory(alerts.capture.dir);
}

}  // namespace epulse::config
