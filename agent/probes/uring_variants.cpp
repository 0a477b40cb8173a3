#include "agent/probes/uring_variants.hpp"

#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include <memory>

namespace epulse::probes {
namespace {

// The prototype behind "typedef void (*btf_trace_NAME)(void *, ...)", without the first argument,
// which is the tracepoint's own. Empty when there is no such tracepoint.
std::vector<const btf_type*> arguments(const btf* kernel, const std::string& name) {
  const int id = btf__find_by_name_kind(kernel, ("btf_trace_" + name).c_str(), BTF_KIND_TYPEDEF);
  if (id < 0) return {};
  const btf_type* pointer =
      btf__type_by_id(kernel, btf__type_by_id(kernel, static_cast<uint32_t>(id))->type);
  const btf_type* prototype = btf__type_by_id(kernel, pointer->type);
  std::vector<const btf_type*> types;
  const btf_param* parameters = btf_params(prototype);
  for (int i = 1; i < btf_vlen(prototype); ++i) {
    types.push_back(btf__type_by_id(kernel, parameters[i].type));
  }
  return types;
}

}  // namespace

UringVariants uring_variants(const UringTracepoints& has) {
  UringVariants chosen;
  const auto choose = [&](const char* program) { chosen.programs.emplace_back(program); };
  if (has.complete == 0 || has.create == 0 || (has.submit_req == 0 && has.submit_sqe == 0)) {
    chosen.missing = "the kernel has no io_uring tracepoints";
    return chosen;
  }
  if (has.submit_req == 0 && has.submit_sqe > 2 && !has.submit_sqe_second_is_pointer) {
    chosen.missing = "the kernel's io_uring tracepoints do not say which request they are about";
    return chosen;
  }
  choose("on_create");
  if (has.cqring_wait != 0) choose("on_wait");

  if (has.submit_req != 0) {
    choose("on_submit_req");
  } else {
    choose(has.submit_sqe <= 2 ? "on_submit_sqe" : "on_submit_sqe_of_ring");
  }
  if (has.queue_async_work != 0) {
    choose(has.queue_async_work <= 2 ? "on_punt" : "on_punt_of_ring");
  }

  if (!has.complete_second_is_pointer) {
    choose("on_complete_by_name");
    // That old, the tracepoint comes before the kernel looks for room in the CQ.
    chosen.complete_names_request = false;
    chosen.complete_precedes_tail = true;
  } else {
    choose(has.complete_third_is_pointer ? "on_complete" : "on_complete_by_value");
  }
  if (has.cqe_overflow != 0) choose("on_overflow");
  if (has.req_failed == 3) choose("on_rejected");

  if (has.syscalls_preemptible) {
    choose("on_syscall_enter_again");
    choose("on_syscall_exit_again");
    chosen.syscalls_twice = true;
  }
  return chosen;
}

UringTracepoints detect_uring_tracepoints() {
  UringTracepoints found;
  const std::unique_ptr<btf, decltype(&btf__free)> kernel(btf__load_vmlinux_btf(), btf__free);
  if (!kernel || libbpf_get_error(kernel.get()) != 0) return found;
  const auto count = [&](const char* name) {
    return static_cast<int>(arguments(kernel.get(), name).size());
  };
  found.create = count("io_uring_create");
  found.cqring_wait = count("io_uring_cqring_wait");
  found.submit_req = count("io_uring_submit_req");
  const auto submit = arguments(kernel.get(), "io_uring_submit_sqe");
  found.submit_sqe = static_cast<int>(submit.size());
  found.submit_sqe_second_is_pointer = submit.size() >= 2 && btf_is_ptr(submit[1]);
  found.queue_async_work = count("io_uring_queue_async_work");
  found.cqe_overflow = count("io_uring_cqe_overflow");
  found.req_failed = count("io_uring_req_failed");
  const auto complete = arguments(kernel.get(), "io_uring_complete");
  found.complete = static_cast<int>(complete.size());
  if (complete.size() >= 3) {
    found.complete_second_is_pointer = btf_is_ptr(complete[1]);
    found.complete_third_is_pointer = btf_is_ptr(complete[2]);
  }
  // Came with 7.2, and with it that programs of these tracepoints are run preemptibly.
  found.syscalls_preemptible =
      btf__find_by_name_kind(kernel.get(), "trace_call_bpf_faultable", BTF_KIND_FUNC) > 0;
  return found;
}

}  // namespace epulse::probes
