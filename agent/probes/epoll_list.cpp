#include "agent/probes/epoll_list.hpp"

#include <bpf/bpf.h>
#include <unistd.h>

#include <array>

#include "agent/probes/bpf_object.hpp"
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
  const int iterator = bpf_iter_create(bpf_link__fd(state_->object->links.list_epolls));
  if (iterator < 0) fail("cannot start the task_file iterator: {}", errno_text(errno));
  std::vector<epoll_list_record> records;
  std::array<epoll_list_record, 128> buffer;
  ssize_t bytes = 0;
  do {
    bytes = ::read(iterator, buffer.data(), sizeof(buffer));
    // The kernel writes whole records, so a read ends between two.
    for (ssize_t i = 0; i < bytes / static_cast<ssize_t>(sizeof(epoll_list_record)); ++i) {
      records.push_back(buffer[static_cast<size_t>(i)]);
    }
  } while (bytes > 0 || (bytes < 0 && (errno == EAGAIN || errno == EINTR)));
  const int error = errno;
  close(iterator);
  if (bytes < 0) fail("the task_file iterator broke off: {}", errno_text(error));
  return records;
}

}  // namespace epulse::probes
