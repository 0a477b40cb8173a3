#include "agent/config/usable.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "agent/error.hpp"

namespace epulse::config {
namespace {

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
  // Recordings show who was served and when; and the oldest are removed, whoever made them.
  if ((status.st_mode & S_IWOTH) != 0 && (status.st_mode & S_ISVTX) == 0) {
    fail("alerts.capture.dir: everybody may write in {}; chmod o-w it, or choose another", path);
  }
}

}  // namespace

void require_usable(const Config& config) {
  const Alerts& alerts = config.alerts;
  if (!alerts.exec.command.empty()) require_program(alerts.exec.command[0]);
  if (!alerts.capture.dir.empty()) require_directory(alerts.capture.dir);
}

}  // namespace epulse::config
