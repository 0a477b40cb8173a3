#include "server/ws/client_handshake.hpp"

#include <algorithm>
#include <charconv>

#include "server/ws/base64.hpp"
#include "server/ws/http.hpp"
#include "server/ws/list_field.hpp"

namespace epulse::ws {
namespace {

ResponseHead refused(int status, std::string_view reason) {
  return {ResponseHead::Verdict::kRefused, 0, status, reason, {}};
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
  bool connection = false;  // some line of it has "Upgrade"
  std::optional<std::string_view> upgrade;
  std::optional<std::string_view> accept;
  std::optional<std::string_view> protocol;
  std::optional<std::string_view> extensions;
};

// 4.1 and 11.3.2 to 11.3.4: none of these may come twice.
bool set_once(std::optional<std::string_view>& member, std::string_view value) {
  if (member) return false;
  member = value;
  return true;
}

bool read_field(const Field& field, Answer& answer) {
  const std::string_view name = field.name;
  if (equal_ignoring_case(name, "Connection")) {
    answer.connection |= list_has(field.value, "upgrade");
  } else if (equal_ignoring_case(name, "Upgrade")) {
    return set_once(answer.upgrade, field.value);
  } else if (equal_ignoring_case(name, "Sec-WebSocket-Accept")) {
    return set_once(answer.accept, field.value);
  } else if (equal_ignoring_case(name, "Sec-WebSocket-Protocol")) {
    return set_once(answer.protocol, field.value);
  } else if (equal_ignoring_case(name, "Sec-WebSocket-Extensions")) {
    return set_once(answer.extensions, field.value);
  }
  return true;
}

bool read_answer(std::string_view lines, Answer& answer) {
  FieldReader reader(lines);
  Field field;
  while (true) {
    const FieldReader::Result result = reader.next(field);
    if (result != FieldReader::Result::kField) return result == FieldReader::Result::kEnd;
    if (!read_field(field, answer)) return false;
  }
}

// 4.1, last steps: an extension or sub-protocol that was not asked for fails the connection. One
// that was and is not granted does not.
std::string_view agree(const Answer& answer, const UpgradeOffer& offer, Agreement& agreed) {
  if (answer.protocol) {
    const auto& asked = offer.protocols;
    if (std::find(asked.begin(), asked.end(), *answer.protocol) == asked.end()) {
      return "sub-protocol that was not asked for";
    }
    agreed.protocol = *answer.protocol;
  }
  if (answer.extensions) {
    if (!offer.deflate) return "extension that was not asked for";
    ListField extensions;
    extensions.add(*answer.extensions);
    agreed.deflate = check_answer(extensions, *offer.deflate);
    if (!agreed.deflate) return "extension not as it was asked for";
  }
  return {};
}

}  // namespace

std::string make_key(const std::array<std::uint8_t, 16>& nonce) {
  const auto text = base64(nonce);
  return {text.data(), text.size()};
}

std::string upgrade_request(std::string_view host, std::string_view target, std::string_view key,
                            const UpgradeOffer& offer) {
  std::string out = "GET ";
  out.append(target).append(" HTTP/1.1\r\nHost: ").append(host);
  out += "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ";
  out.append(key).append("\r\nSec-WebSocket-Version: 13\r\n");
  if (!offer.protocols.empty()) {
    out += "Sec-WebSocket-Protocol: ";
    for (const std::string& name : offer.protocols) {
      if (&name != &offer.protocols.front()) out += ", ";
      out += name;
    }
    out += "\r\n";
  }
  if (offer.deflate) {
    out += "Sec-WebSocket-Extensions: ";
    out.append(deflate_text(*offer.deflate).text()).append("\r\n");
  }
  return out += "\r\n";
}

ResponseHead check_response(std::string_view buffer, std::string_view key,
                            const UpgradeOffer& offer) {
  const std::size_t size = head_size(buffer.substr(0, kMaxHeadBytes));
  if (size == 0) {
    return buffer.size() >= kMaxHeadBytes ? refused(0, "answer too long") : ResponseHead{};
  }
  std::string_view head = buffer.substr(0, size);
  const int status = status_of(take_line(head));
  if (status == 0) return refused(0, "not an answer of HTTP/1.1");
  if (status != 101) return refused(status, "upgrade refused");
  Answer answer;
  if (!read_answer(head, answer)) return refused(status, "malformed or repeated header field");
  const bool is_websocket = answer.upgrade && equal_ignoring_case(*answer.upgrade, "websocket");
  if (!is_websocket || !answer.connection) return refused(status, "not an upgrade to websocket");
  const auto expected = accept_key(key);
  if (answer.accept != std::string_view(expected.data(), expected.size())) {
    return refused(status, "wrong Sec-WebSocket-Accept");
  }
  ResponseHead accepted{ResponseHead::Verdict::kAccepted, size, status, {}, {}};
  const std::string_view unwanted = agree(answer, offer, accepted.agreed);
  return unwanted.empty() ? accepted : refused(status, unwanted);
}

}  // namespace epulse::ws
