#include "tools/load/record_file.hpp"

#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <cerrno>

#include "common/boot_id.hpp"
#include "common/json_line.hpp"
#include "tools/load/clock.hpp"
#include "tools/load/error.hpp"

namespace epulse::load {
namespace {

std::int64_t realtime_offset_ns() {
  timespec real{};
  clock_gettime(CLOCK_REALTIME, &real);
  const std::uint64_t real_ns = static_cast<std::uint64_t>(real.tv_sec) * kSecondNs +
                                static_cast<std::uint64_t>(real.tv_nsec);
  return static_cast<std::int64_t>(real_ns - clock_ns());
}

void write_message(std::FILE* file, const RecordedMessage& message) {
  fmt::print(file, R"({{"m":[{},{},{},{},)", message.connection, message.sequence, message.due_ns,
             message.sent_ns);
  message.received_ns == 0 ? fmt::print(file, "null]}}\n")
                           : fmt::print(file, "{}]}}\n", message.received_ns);
}

}  // namespace

FilePtr create_file(const std::string& path, const std::string& purpose) {
  FilePtr file(std::fopen(path.c_str(), "we"));
  if (!file) {
    fail("cannot create '{}' for {}: {}; is there such a folder, and may we write there?", path,
         purpose, errno_text(errno));
  }
  return file;
}

void finish_file(FilePtr file, const std::string& path) {
  const bool failed = std::ferror(file.get()) != 0;
  if (std::fclose(file.release()) != 0 || failed) {
    fail("cannot write all of '{}': {}; is there room on the disk?", path, errno_text(errno));
  }
}

void write_record(std::FILE* file, const RecordHead& head,
                  const std::vector<Recording*>& recordings) {
  std::uint64_t every = 1;
  for (const Recording* recording : recordings) every = std::max(every, recording->sample.every());
  std::size_t messages = 0;
  for (Recording* recording : recordings) {
    recording->sample.thin_to(every);
    messages += recording->sample.messages().size();
  }
  fmt::print(file,
             R"({{"type":"load_record","schema_version":1,"clock":"monotonic","boot_id":"{}",)"
             R"("url":{},"mode":"{}","start_ns":{},"end_ns":{},"realtime_offset_ns":{},)"
             R"("sample_every":{},"messages":{}}})"
             "\n",
             boot_id(), json_text(head.url), head.mode, head.start_ns, head.end_ns,
             realtime_offset_ns(), every, messages);
  for (const Recording* recording : recordings) {
    for (const RecordedConnection& connection : recording->connections) {
      fmt::print(file,
                 R"({{"type":"connection","connection":{},"local":"{}","peer":"{}"}})"
                 "\n",
                 connection.connection, connection.local, connection.peer);
    }
  }
  for (const Recording* recording : recordings) {
    for (const RecordedMessage& message : recording->sample.messages()) {
      write_message(file, message);
    }
  }
  fmt::print(file,
             R"({{"type":"end","messages":{}}})"
             "\n",
             messages);
}

}  // namespace epulse::load
