#include "agent/actuate/journal_format.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "agent/actuate/crc32.hpp"

namespace epulse::actuate {
namespace {

constexpr size_t kCrcChars = 9;  // eight digits and a space

// Keeps a value on one line and, unless it is the last field, in one word.
std::string escape(std::string_view text, bool one_word) {
  std::string escaped;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f || c == '%' || (one_word && c == ' ')) {
      escaped += fmt::format("%{:02x}", byte);
    } else {
      escaped += c;
    }
  }
  return escaped;
}

std::optional<std::string> unescape(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      plain += text[i];
      continue;
    }
    unsigned value = 0;
    if (i + 2 >= text.size()) return std::nullopt;
    const char* const end = text.data() + i + 3;
    if (std::from_chars(text.data() + i + 1, end, value, 16).ptr != end) return std::nullopt;
    plain += static_cast<char>(value);
    i += 2;
  }
  return plain;
}

// Takes the fields of a record apart, in order; one that does not fit makes all that follows fail.
class Fields {
 public:
  explicit Fields(std::string_view text) : rest_(text) {}

  std::string_view word() {
    const size_t end = std::min(rest_.find(' '), rest_.size());
    const std::string_view word = rest_.substr(0, end);
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
    return word;
  }

  template <typename Integer>
  Integer number(std::string_view name) {
    return to_number<Integer>(value(word(), name));
  }

  template <typename Integer>
  Integer plain_number() {
    return to_number<Integer>(word());
  }

  bool next_is(std::string_view name) const {
    return rest_.substr(0, name.size()) == name && rest_.substr(name.size(), 1) == "=";
  }

  std::string text(std::string_view name) { return unescaped(value(word(), name)); }

  // The last field: all that is left.
  std::string last_text(std::string_view name) {
    return unescaped(value(std::exchange(rest_, {}), name));
  }

  model::CpuSet cpus(std::string_view name) {
    const auto set = model::CpuSet::parse(value(word(), name));
    if (!set || set->empty()) ok_ = false;
    return set.value_or(model::CpuSet{});
  }

  std::string_view raw(std::string_view name) { return value(word(), name); }

  void refuse() { ok_ = false; }
  bool ok() const { return ok_; }

 private:
  std::string_view value(std::string_view field, std::string_view name) {
    if (field.size() <= name.size() || field.substr(0, name.size()) != name ||
        field[name.size()] != '=') {
      ok_ = false;
      return {};
    }
    return field.substr(name.size() + 1);
  }

  template <typename Integer>
  Integer to_number(std::string_view digits) {
    Integer number = 0;
    const char* const end = digits.data() + digits.size();
    const auto [at, error] = std::from_chars(digits.data(), end, number);
    if (error != std::errc{} || at != end) ok_ = false;
    return number;
  }

  std::string unescaped(std::string_view text) {
    const auto plain = unescape(text);
    if (!plain) ok_ = false;
    return plain.value_or("");
  }

  std::string_view rest_;
  bool ok_ = true;
};

std::string fields_of(const ThreadAffinity& c) {
  return fmt::format("affinity pid={} tid={} start={} name={} old={} new={}", c.pid, c.tid,
                     c.start_ticks, escape(c.name, true), c.old_mask.to_string(),
                     c.new_mask.to_string());
}

std::string fields_of(const SocketBuffer& c) {
  return fmt::format("{} pid={} start={} fd={} inode={} old={} lock={} new={}",
                     c.side == model::BufferSide::kReceive ? "rcvbuf" : "sndbuf", c.pid,
                     c.start_ticks, c.fd, c.inode, c.old_bytes,
                     c.old_lock ? fmt::format("{}", *c.old_lock) : "absent", c.new_bytes);
}

std::string fields_of(const ServerSetting& c) {
  return fmt::format("setting pid={} start={} socket={} name={} old={} new={}", c.pid,
                     c.start_ticks, escape(c.socket, true), escape(c.name, true), c.old_value,
                     c.new_value);
}

Change affinity_from(Fields& fields) {
  ThreadAffinity c;
  c.pid = fields.number<pid_t>("pid");
  c.tid = fields.number<pid_t>("tid");
  c.start_ticks = fields.number<uint64_t>("start");
  c.name = fields.text("name");
  c.old_mask = fields.cpus("old");
  c.new_mask = fields.cpus("new");
  return c;
}

Change buffer_from(Fields& fields, model::BufferSide side) {
  SocketBuffer c;
  c.side = side;
  c.pid = fields.number<pid_t>("pid");
  c.start_ticks = fields.number<uint64_t>("start");
  c.fd = fields.number<int>("fd");
  c.inode = fields.number<uint64_t>("inode");
  c.old_bytes = fields.number<uint64_t>("old");
  const std::string_view lock = fields.raw("lock");
  if (lock != "absent") {
    uint32_t flags = 0;
    const char* const end = lock.data() + lock.size();
    if (lock.empty() || std::from_chars(lock.data(), end, flags).ptr != end) fields.refuse();
    c.old_lock = flags;
  }
  c.new_bytes = fields.number<uint64_t>("new");
  return c;
}

Change setting_from(Fields& fields) {
  ServerSetting c;
  c.pid = fields.number<pid_t>("pid");
  c.start_ticks = fields.number<uint64_t>("start");
  c.socket = fields.text("socket");
  c.name = fields.text("name");
  c.old_value = fields.number<uint64_t>("old");
  c.new_value = fields.number<uint64_t>("new");
  return c;
}

std::optional<Record> decode_intent(uint64_t seq, Fields& fields) {
  IntentRecord record;
  record.seq = seq;
  const std::string_view what = fields.word();
  if (what == "affinity") {
    record.change = affinity_from(fields);
  } else if (what == "rcvbuf") {
    record.change = buffer_from(fields, model::BufferSide::kReceive);
  } else if (what == "sndbuf") {
    record.change = buffer_from(fields, model::BufferSide::kSend);
  } else if (what == "setting") {
    record.change = setting_from(fields);
  } else {
    return std::nullopt;
  }
  record.unix_time_s = fields.number<int64_t>("at");
  if (fields.next_is("origin")) record.origin = fields.text("origin");
  record.reason = fields.last_text("reason");
  if (!fields.ok()) return std::nullopt;
  return record;
}

std::string body_of(const Record& record) {
  if (const auto* const intent = std::get_if<IntentRecord>(&record)) {
    return fmt::format("{} intent {} at={}{}{} reason={}", intent->seq,
                       std::visit([](const auto& c) { return fields_of(c); }, intent->change),
                       intent->unix_time_s,
                       intent->origin.empty() ? "" : " origin=", escape(intent->origin, true),
                       escape(intent->reason, false));
  }
  if (const auto* const mark = std::get_if<MarkRecord>(&record)) {
    return fmt::format("{} {}", mark->seq, mark->made ? "made" : "undoing");
  }
  const auto& settled = std::get<SettledRecord>(record);
  return fmt::format("{} {} why={}", settled.seq,
                     settled.kind == SettledRecord::Kind::kUndone ? "undone" : "stood-down",
                     escape(settled.why, false));
}

std::optional<Record> decode_body(std::string_view body) {
  Fields fields(body);
  const auto seq = fields.plain_number<uint64_t>();
  const std::string_view kind = fields.word();
  if (!fields.ok()) return std::nullopt;
  if (kind == "intent") return decode_intent(seq, fields);
  if (kind == "made" || kind == "undoing") return MarkRecord{seq, kind == "made"};

  SettledRecord settled;
  settled.seq = seq;
  if (kind == "stood-down") {
    settled.kind = SettledRecord::Kind::kStoodDown;
  } else if (kind != "undone") {
    return std::nullopt;
  }
  settled.why = fields.last_text("why");
  if (!fields.ok()) return std::nullopt;
  return settled;
}

}  // namespace

std::string encode(const Record& record) {
  const std::string body = body_of(record);
  return fmt::format("{:08x} {}\n", crc32(body), body);
}

std::optional<Record> decode(std::string_view line) {
  if (line.size() <= kCrcChars) return std::nullopt;
  auto record = decode_body(line.substr(kCrcChars));
  // All of it compared as text, the checksum included: a field that reads as another value than it
  // says (a number out of range), or a damaged digit of the checksum itself, is damage too.
  if (!record || encode(*record) != fmt::format("{}\n", line)) return std::nullopt;
  return record;
}

JournalState replay(std::string_view text, std::string_view name) {
  JournalState state;
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t newline = text.find('\n');
    const bool complete = newline != std::string_view::npos;
    const std::string_view line = text.substr(0, newline);
    text.remove_prefix(complete ? newline + 1 : text.size());
    state.ends_in_newline = complete;

    const std::optional<Record> record = decode(line);
    if (!record) {
      state.has_damage = state.has_damage || complete;
      if (!complete) state.torn_bytes = line.size();
      state.complaints.push_back(
          complete ? fmt::format("{}:{}: the line is damaged and was skipped: if it announced a "
                                 "change, that change cannot be undone",
                                 name, number)
                   : fmt::format("{}:{}: the last line was cut short, so its change was never made",
                                 name, number));
      continue;
    }
    if (const auto* const intent = std::get_if<IntentRecord>(&*record)) {
      state.pending.push_back(*intent);
      state.seq_max = std::max(state.seq_max, intent->seq);
    } else if (const auto* const mark = std::get_if<MarkRecord>(&*record)) {
      const auto marked = std::find_if(state.pending.begin(), state.pending.end(),
                                       [&](const IntentRecord& p) { return p.seq == mark->seq; });
      if (marked != state.pending.end()) {
        marked->made = mark->made;
      } else {
        state.has_damage = true;
        state.complaints.push_back(
            fmt::format("{}:{}: change {} was made, and the line that announced it is missing or "
                        "damaged: it cannot be undone",
                        name, number, mark->seq));
      }
    } else {
      const uint64_t seq = std::get<SettledRecord>(*record).seq;
      std::erase_if(state.pending, [&](const IntentRecord& p) { return p.seq == seq; });
    }
  }
  return state;
}

}  // namespace epulse::actuate
