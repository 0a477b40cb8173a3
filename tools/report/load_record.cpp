#include "tools/report/load_record.hpp"

#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "agent/error.hpp"
#include "agent/export/record_format.hpp"
#include "agent/model/text.hpp"

namespace epulse::report {
namespace {

using nlohmann::json;

constexpr uint64_t kSchemaVersion = 1;
constexpr size_t kMessageFields = 5;
constexpr size_t kNameBytes = 6;  // of kMagic: its version follows

// No other kind of number becomes one.
uint64_t number_of(const json& value) {
  if (!value.is_number_unsigned())
    fail("'{}' is no count of nanoseconds or messages", value.dump());
  return value.get<uint64_t>();
}

uint32_t connection_of(const json& value) {
  const uint64_t number = number_of(value);
  if (number > std::numeric_limits<uint32_t>::max()) fail("there is no connection {}", number);
  return static_cast<uint32_t>(number);
}

void take_head(const json& line, LoadRecord& record) {
  const uint64_t version = number_of(line.at("schema_version"));
  if (version != kSchemaVersion) {
    fail("it has schema version {}, this epulse reads {}", version, kSchemaVersion);
  }
  record.url = model::printable(line.at("url").get<std::string>());
  record.mode = model::printable(line.at("mode").get<std::string>());
  record.boot_id = line.at("boot_id").get<std::string>();
  record.start_ns = number_of(line.at("start_ns"));
  record.end_ns = number_of(line.at("end_ns"));
  record.sample_every = number_of(line.at("sample_every"));
}

void take_message(const json& fields, LoadRecord& record) {
  if (!fields.is_array() || fields.size() < kMessageFields)
    fail("a message has {} numbers", kMessageFields);
  LoadMessage message;
  message.connection = connection_of(fields[0]);
  message.due_ns = number_of(fields[2]);
  message.sent_ns = number_of(fields[3]);
  if (!fields[4].is_null()) {
    message.received_ns = number_of(fields[4]);
    if (message.due_ns > message.sent_ns || message.sent_ns > message.received_ns) {
      fail("a message is due, sent and received in this order");
    }
  }
  record.messages.push_back(message);
}

void take_line(const json& line, LoadRecord& record) {
  if (const auto message = line.find("m"); message != line.end()) {
    return take_message(*message, record);
  }
  const auto type = line.at("type").get<std::string>();
  if (type == "connection") {
    record.connections[connection_of(line.at("connection"))] = {line.at("local").get<std::string>(),
                                                                line.at("peer").get<std::string>()};
  }
  if (type == "end") record.ended = true;
}

}  // namespace

LoadRecord read_load_record(const std::string& path) {
  std::ifstream file(path);
  if (!file) fail("cannot read {}: {}", path, errno_text(errno));
  LoadRecord record;
  record.path = path;
  uint64_t number = 0;
  for (std::string text; std::getline(file, text);) {
    ++number;
    try {
      const json line = json::parse(text);
      if (number == 1) {
        if (line.at("type") != "load_record") fail("it does not begin with a load_record");
        take_head(line, record);
      } else {
        take_line(line, record);
      }
    } catch (const json::parse_error&) {
      if (number == 1 && text.starts_with(record::kMagic.substr(0, kNameBytes))) {
        fail(
            "{} is a recording of epulse record: it belongs after -i, and what epulse-load "
            "--record "
            "FILE wrote after --join",
            path);
      }
      // A load that was killed, or a full disk: what is whole counts.
      if (number > 1 && file.eof()) break;
      fail("{} line {} is no JSON; --join takes what epulse-load --record FILE wrote", path,
           number);
    } catch (const std::exception& error) {
      fail("{} line {}: {}; --join takes what epulse-load --record FILE wrote", path, number,
           error.what());
    }
  }
  if (number == 0) fail("{} is empty; --join takes what epulse-load --record FILE wrote", path);
  return record;
}

}  // namespace epulse::report
