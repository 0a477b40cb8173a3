#include "agent/daemon/privileges.hpp"

#include <algorithm>
#include <memory>

#include "agent/error.hpp"

// Newer than the headers of some distributions.
#ifndef CAP_BPF
#define CAP_BPF 39
#endif

namespace epulse::daemon {
namespace {

struct FreeCapabilities {
  void operator()(void* object) const { cap_free(object); }
};
using Capabilities = std::unique_ptr<std::remove_pointer_t<cap_t>, FreeCapabilities>;

bool has(cap_t set, cap_value_t capability) {
  cap_flag_value_t value = CAP_CLEAR;
  return cap_get_flag(set, capability, CAP_PERMITTED, &value) == 0 && value == CAP_SET;
}

}  // namespace

std::vector<cap_value_t> capabilities_needed(const config::Config& config, config::Mode mode,
                                             bool has_bpf, bool is_bundled_server) {
  std::vector<cap_value_t> needed = {CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH};
  if (mode == config::Mode::kApply) {
    needed.push_back(CAP_SYS_NICE);
    if (config.socket_buffers.enabled) needed.push_back(CAP_NET_ADMIN);
    // The control socket of an epulse-ws may be another user's; other servers have none.
    if (config.server_buffers.enabled && is_bundled_server) needed.push_back(CAP_DAC_OVERRIDE);
  }
  if (has_bpf) {
    needed.push_back(CAP_BPF);
    if (config.probes.overhead_budget > 0) needed.push_back(CAP_SYS_ADMIN);
  }
  return needed;
}

void keep_capabilities(const std::vector<cap_value_t>& needed) {
  const Capabilities have(cap_get_proc());
  const Capabilities keep(cap_init());
  if (!have || !keep) fail("cannot read our capabilities: {}", errno_text(errno));
  // First what programs that we run may get back: giving that up takes a capability itself.
  for (cap_value_t one = 0; one < cap_max_bits(); ++one) {
    const bool wanted = std::find(needed.begin(), needed.end(), one) != needed.end();
    if (!wanted && has(have.get(), CAP_SETPCAP)) cap_drop_bound(one);
    if (!wanted || !has(have.get(), one)) continue;
    cap_set_flag(keep.get(), CAP_PERMITTED, 1, &one, CAP_SET);
    cap_set_flag(keep.get(), CAP_EFFECTIVE, 1, &one, CAP_SET);
  }
  if (cap_set_proc(keep.get()) != 0) {
    fail("cannot give up capabilities that are not needed: {}", errno_text(errno));
  }
}

std::string capabilities_text() {
  const Capabilities have(cap_get_proc());
  std::string text;
  for (cap_value_t one = 0; have && one < cap_max_bits(); ++one) {
    if (!has(have.get(), one)) continue;
    const std::unique_ptr<char, FreeCapabilities> name(cap_to_name(one));
    text += fmt::format("{}{}", text.empty() ? "" : " ", name ? name.get() : "?");
  }
  return text.empty() ? "none" : text;
}

}  // namespace epulse::daemon
