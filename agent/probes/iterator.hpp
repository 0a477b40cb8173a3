#pragma once

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <vector>

#include "agent/error.hpp"

namespace epulse::probes {

// One pass of a BPF iterator whose program writes a Record at a time. Throws Error when it is cut
// short.
template <typename Record>
std::vector<Record> read_iterator(const bpf_link* link, const char* name) {
  const int iterator = bpf_iter_create(bpf_link__fd(link));
  if (iterator < 0) fail("cannot start the {} iterator: {}", name, errno_text(errno));
  std::vector<Record> records;
  std::array<Record, 128> buffer;
  ssize_t bytes = 0;
  do {
    bytes = ::read(iterator, buffer.data(), sizeof(buffer));
    // The kernel writes whole records, but hands over as many bytes as asked for: a multiple.
    for (ssize_t i = 0; i < bytes / static_cast<ssize_t>(sizeof(Record)); ++i) {
      records.push_back(buffer[static_cast<size_t>(i)]);
    }
  } while (bytes > 0 || (bytes < 0 && (errno == EAGAIN || errno == EINTR)));
  const int error = errno;
  close(iterator);
  if (bytes < 0) fail("the {} iterator broke off: {}", name, errno_text(error));
  return records;
}

}  // namespace epulse::probes
