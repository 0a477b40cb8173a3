#pragma once

#include <bpf/libbpf.h>

#include "agent/error.hpp"
#include "agent/probes/libbpf_log.hpp"

namespace epulse::probes {

// For what fails beside the load itself: the caller may do without the probe all the same.
[[noreturn]] inline void refuse(const std::string& what, int error) {
  throw LoadError(fmt::format("cannot {}: {}", what, errno_text(error)));
}

// A bpftool skeleton, opened at construction, destroyed (programs detached, maps freed) with the
// object.
template <typename Skeleton>
class BpfObject {
 public:
  explicit BpfObject(const char* name) : name_(name), skeleton_(Skeleton::open(nullptr)) {
    if (skeleton_ == nullptr) refuse("open", errno);
  }
  ~BpfObject() { Skeleton::destroy(skeleton_); }
  BpfObject(const BpfObject&) = delete;
  BpfObject& operator=(const BpfObject&) = delete;

  void load() {
    const int error = Skeleton::load(skeleton_);
    if (error != 0) refuse("load", error);
  }
  void attach() {
    const int error = Skeleton::attach(skeleton_);
    if (error != 0) refuse("attach", error);
  }

  Skeleton* operator->() const { return skeleton_; }
  Skeleton& operator*() const { return *skeleton_; }

 private:
  [[noreturn]] void refuse(const char* what, int error) const {
    const std::string cause = LibbpfLog::cause();
    throw LoadError(fmt::format("cannot {} BPF object {}: {}{}{}", what, name_, errno_text(error),
                                cause.empty() ? "" : " (" + cause + ")",
                                error == -EPERM || error == EPERM ? "; run as root" : ""));
  }

  LibbpfLog log_;
  const char* name_;
  Skeleton* skeleton_;
};

}  // namespace epulse::probes
