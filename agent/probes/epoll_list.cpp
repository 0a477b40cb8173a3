#include "agent/probes/epoll_list.hpp"

#include <bpf/bpf.h>
#include <unistd.h>

#include <array>

#include "agent/probes/bpf_object.hpp"
#include "epoll_list.skel.h"

namespace epulse::probes {

std::vector<epoll_list_record> list_epolls(const kernel::Facts& facts) {
  if (facts.ep_eventpoll_poll == 0) {
    fail("cannot tell epoll files: /proc/kallsyms hides ep_eventpoll_poll; run as root");
  }
  BpfObject<epoll_list_bpf> object("epoll_list");
  object->rodata->ep_eventpoll_poll_address = facts.ep_eventpoll_poll;
  object.load();
  object.attach();
  const int iterator = bpf_iter_create(bpf_link__fd(object->links.list_epolls));
  if (iterator < 0) fail("cannot start the task_file iterator: {}", errno_text(errno));
  std::vector<epoll_list_record> records;
  std::array<epoll_list_record, 128> buffer;
  // The kernel writes whole records, so a read ends between two.
  for (;;) {
    const ssize_t bytes = read(iterator, buffer.data(), sizeof(buffer));
    if (bytes < 0 && errno == EAGAIN) continue;
    if (bytes <= 0) break;
    records.insert(records.end(), buffer.begin(),
                   buffer.begin() + bytes / static_cast<ssize_t>(sizeof(epoll_list_record)));
  }
  close(iterator);
  return records;
}

}  // namespace epulse::probes
