#include "tools/load/record_file.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/boot_id.hpp"
#include "common/json_line.hpp"

namespace epulse::load {
namespace {

void write_message(OutputFile& file, const RecordedMessage& message) {
  const std::string received =
      message.received_ns == 0 ? "null" : std::to_string(message.received_ns);
  file.write(fmt::format(R"({{"m":[{},{},{},{},{}]}})"
                         "\n",
                         message.connection, message.sequence, message.due_ns, message.sent_ns,
                         received));
}

}  // namespace

void write_record(OutputFile& file, const RecordHead& head,
                  const std::vector<Recording*>& recordings) {
  std::uint64_t every = 1;
  for (const Recording* recording : recordings) every = std::max(every, recording->sample.every());
  std::size_t messages = 0;
  for (Recording* recording : recordings) {
    recording->sample.thin_to(every);
    messages += recording->sample.messages().size();
  }
  file.write(
      fmt::format(R"({{"type":"load_record","schema_version":1,"clock":"monotonic","boot_id":"{}",)"
                  R"("url":{},"mode":"{}","start_ns":{},"end_ns":{},"realtime_offset_ns":{},)"
                  R"("sample_every":{},"messages":{}}})"
                  "\n",
                  boot_id(), json_text(head.url), head.mode, head.start_ns, head.end_ns,
                  head.realtime_offset_ns, every, messages));
  for (const Recording* recording : recordings) {
    for (const RecordedConnection& connection : recording->connections) {
      file.write(fmt::format(R"({{"type":"connection","connection":{},"local":"{}","peer":"{}"}})"
                             "\n",
                             connection.connection, connection.local, connection.peer));
    }
  }
  for (const Recording* recording : recordings) {
    for (const RecordedMessage& message : recording->sample.messages()) {
      write_message(file, message);
    }
  }
  file.write(fmt::format(R"({{"type":"end","messages":{}}})"
                         "\n",
                         messages));
}

}  // namespace epulse::load
