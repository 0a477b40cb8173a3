#include "agent/probes/attach.hpp"

#include "agent/error.hpp"

namespace epulse::probes {
namespace {

Refusals refusals_of(const std::string& wanted) {
  if (wanted == "auto") return {};
  const std::optional<Backend> backend = backend_named(wanted);
  if (!backend) {
    fail("no backend {}; there are auto, fentry, kprobe, tracepoint and procfs", wanted);
  }
  return only(*backend);
}

}  // namespace

Attached attach(const EpollProbeOptions& options, const std::string& wanted,
                const EpollProbe::WaitHandler& on_wait) {
  const kernel::Facts facts = kernel::detect();
  Refusals refusals = refusals_of(wanted);
  for (;;) {
    Attached attached{plan(facts, refusals), nullptr};
    if (attached.plan.backend == Backend::kProcfs) {
      if (wanted != "auto" && wanted != to_string(Backend::kProcfs)) {
        fail_unsupported("no {} backend on this host: {}", wanted, attached.plan.why);
      }
      return attached;
    }
    try {
      attached.probe = std::make_unique<EpollProbe>(options, facts, attached.plan, on_wait);
      return attached;
    } catch (const LoadError& error) {
      refusals[attached.plan.backend] = error.what();
    }
  }
}

}  // namespace epulse::probes
