#include "tools/report/load_record.hpp"

#include <fstream>
#include <nlohmann/json.hpp>

#include "agent/error.hpp"
#include "agent/model/text.hpp"

namespace epulse::report {
namespace {

using nlohmann::json;

constexpr int kSchemaVersion = 1;
constexpr size_t kMessageFields = 5;

void take_head(const json& line, LoadRecord& record) {
  const int version = line.at("schema_version").get<int>();
  if (version != kSchemaVersion) {
    fail("it has schema version {}, this epulse reads {}", version, kSchemaVersion);
  }
  record.url = model::printable(line.at("url").get<std::string>());
  record.mode = model::printable(line.at("mode").get<std::string>());
  record.boot_id = line.at("boot_id").get<std::string>();
  record.start_ns = line.at("start_ns").get<uint64_t>();
  record.end_ns = line.at("end_ns").get<uint64_t>();
  record.sample_every = line.at("sample_every").get<uint64_t>();
}

void take_message(const json& fields, LoadRecord& record) {
  if (fields.size() < kMessageFields) fail("a message has {} numbers", kMessageFields);
  LoadMessage message;
  message.connection = fields[0].get<uint32_t>();
  message.due_ns = fields[2].get<uint64_t>();
  message.sent_ns = fields[3].get<uint64_t>();
  if (!fields[4].is_null()) {
    message.received_ns = fields[4].get<uint64_t>();
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
    record.connections[line.at("connection").get<uint32_t>()] = {
        line.at("local").get<std::string>(), line.at("peer").get<std::string>()};
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
    } catch (const json::exception& error) {
      // A load that was killed, or a full disk: what is whole counts.
      if (number > 1 && file.eof()) break;
      fail("{} line {}: {}; --join takes what epulse-load --record FILE wrote", path, number,
           error.what());
    } catch (const Error& error) {
      fail("{} line {}: {}; --join takes what epulse-load --record FILE wrote", path, number,
           error.what());
    }
  }
  if (number == 0) fail("{} is empty; --join takes what epulse-load --record FILE wrote", path);
  return record;
}

}  // namespace epulse::report
