#include "agent/probes/epoll_list.hpp"

#include "agent/probes/bpf_object.hpp"
#include "agent/probes/iterator.hpp"
#include "epoll_list.skel.h"

namespace epulse::probes {

struct EpollLister::State {
  BpfObject<epoll_list_bpf> object{"epoll_list"};
};

EpollLister::EpollLister(const kernel::Facts& facts) : state_(std::make_unique<State>()) {
  if (!facts.has("ep_eventpoll_poll")) {
    throw LoadError("cannot tell epoll files: /proc/kallsyms hides or lacks ep_eventpoll_poll");
  }
  auto& object = state_->object;
  object->rodata->ep_eventpoll_poll_address = facts.address("ep_eventpoll_poll");
  object->rodata->fast_reads = facts.rdonly_cast;
  object.load();
  object.attach();
}

EpollLister::~EpollLister() = default;

std::vector<epoll_list_record> EpollLister::read() const {
  return read_iterator<epoll_list_record>(state_->object->links.list_epolls, "task_file");
}

}  // namespace epulse::probes
