#include "agent/probes/epoll_list.hpp"

#include "agent/probes/bpf_object.hpp"
#include "agent/probes/iterator.hpp"
#include "epoll_list.skel.h"

namespace epulse::probes {

struct EpollLister::State {
  BpfObject<epoll_list_bpf> object{"epoll_list"};
};

namespace {

// Null where the kernel does not take it.
bpf_link* attach_to(const bpf_program* program, pid_t process) {
  bpf_iter_link_info info{};
  info.task.pid = static_cast<__u32>(process);
  bpf_iter_attach_opts options{};
  options.sz = sizeof(options);
  options.link_info = &info;
  options.link_info_len = sizeof(info);
  return bpf_program__attach_iter(program, &options);
}

}  // namespace

EpollLister::EpollLister(const kernel::Facts& facts, pid_t only)
    : state_(std::make_unique<State>()) {
  if (!facts.has("ep_eventpoll_poll")) {
    throw LoadError("cannot tell epoll files: /proc/kallsyms hides or lacks ep_eventpoll_poll");
  }
  auto& object = state_->object;
  object->rodata->ep_eventpoll_poll_address = facts.address("ep_eventpoll_poll");
  object->rodata->fast_reads = facts.rdonly_cast;
  object.load();
  if (only != 0) object->links.list_epolls = attach_to(object->progs.list_epolls, only);
  if (object->links.list_epolls == nullptr) object.attach();
}

EpollLister::~EpollLister() = default;

std::vector<epoll_list_record> EpollLister::read() const {
  return read_iterator<epoll_list_record>(state_->object->links.list_epolls, "task_file");
}

}  // namespace epulse::probes
