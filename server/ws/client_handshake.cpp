#include "server/ws/client_handshake.hpp"

#include <charconv>

#include "server/ws/base64.hpp"
#include "server/ws/handshake.hpp"
#include "server/ws/http.hpp"

namespace epulse::ws {
namespace {

ResponseHead refused(int status, std::string_view reason) {
  return {ResponseHead::Verdict::kRefused, 0, status, reason};
}

// Of "HTTP/1.1 101 Switching Protocols", 0 when it is not like that.
int status_of(std::string_view line) {
  constexpr std::string_view kVersion = "HTTP/1.1 ";
  if (!line.starts_with(kVersion) || line.size() < kVersion.size() + 3) return 0;
  const char* digits = line.data() + kVersion.size();
  int status = 0;
  const auto [end, error] = std::from_chars(digits, digits + 3, status);
  return error == std::errc{} && end == digits + 3 ? status : 0;
}

struct Answer {
  bool upgrade = false;
  bool connection = false;
  bool extension = false;
  std::string_view accept;
};

bool read_answer(std::string_view lines, Answer& answer) {
  FieldReader reader(lines);
  Field field;
  while (true) {
    const FieldReader::Result result = reader.next(field);
    if (result != FieldReader::Result::kField) return result == FieldReader::Result::kEnd;
    const std::string_view name = field.name;
    if (equal_ignoring_case(name, "Upgrade")) {
      answer.upgrade = equal_ignoring_case(field.value, "websocket");
    } else if (equal_ignoring_case(name, "Connection")) {
      answer.connection = list_has(field.value, "upgrade");
    } else if (equal_ignoring_case(name, "Sec-WebSocket-Accept")) {
      answer.accept = field.value;
    } else if (equal_ignoring_case(name, "Sec-WebSocket-Extensions") ||
               equal_ignoring_case(name, "Sec-WebSocket-Protocol")) {
      answer.extension = true;
    }
  }
}

}  // namespace

std::string make_key(const std::array<std::uint8_t, 16>& nonce) {
  const auto text = base64(nonce);
  return {text.data(), text.size()};
}

std::string upgrade_request(std::string_view host, std::string_view target, std::string_view key) {
  std::string out = "GET ";
  out.append(target).append(" HTTP/1.1\r\nHost: ").append(host);
  out += "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ";
  out.append(key).append("\r\nSec-WebSocket-Version: 13\r\n\r\n");
  return out;
}

ResponseHead check_response(std::string_view buffer, std::string_view key) {
  const std::size_t size = head_size(buffer.substr(0, kMaxHeadBytes));
  if (size == 0) {
    return buffer.size() >= kMaxHeadBytes ? refused(0, "answer too long") : ResponseHead{};
  }
  std::string_view head = buffer.substr(0, size);
  const int status = status_of(take_line(head));
  if (status == 0) return refused(0, "not an answer of HTTP/1.1");
  if (status != 101) return refused(status, "upgrade refused");
  Answer answer;
  if (!read_answer(head, answer)) return refused(status, "malformed header field");
  if (!answer.upgrade || !answer.connection) return refused(status, "not an upgrade to websocket");
  if (answer.extension) return refused(status, "extension or protocol that was not asked for");
  const auto expected = accept_key(key);
  if (answer.accept != std::string_view(expected.data(), expected.size())) {
    return refused(status, "wrong Sec-WebSocket-Accept");
  }
  return {ResponseHead::Verdict::kAccepted, size, status, {}};
}

}  // namespace epulse::ws
