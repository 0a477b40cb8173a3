#include "server/ws/handshake.hpp"

#include <algorithm>

#include "server/ws/base64.hpp"
#include "server/ws/http.hpp"
#include "server/ws/sha1.hpp"
#include "server/ws/subprotocol.hpp"

namespace epulse::ws {
namespace {

constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
constexpr std::size_t kKeyChars = 24;  // base64 of 16 bytes

// The fields we look at. Each may be there once only: a second one is how two readers come to
// disagree.
struct KnownField {
  std::string_view name;
  std::string_view Request::*member;
};
constexpr std::array<KnownField, 5> kKnownFields = {{{"Host", &Request::host},
                                                     {"Sec-WebSocket-Key", &Request::key},
                                                     {"Sec-WebSocket-Version", &Request::version},
                                                     {"Origin", &Request::origin},
                                                     {"Authorization", &Request::authorization}}};

// Those that may come in several lines (RFC 9110, 7.6.1 and 7.8; RFC 6455, 11.3.2 and 11.3.4).
struct KnownList {
  std::string_view name;
  ListField Request::*member;
};
constexpr std::array<KnownList, 4> kKnownLists = {
    {{"Upgrade", &Request::upgrade},
     {"Connection", &Request::connection},
     {"Sec-WebSocket-Extensions", &Request::extensions},
     {"Sec-WebSocket-Protocol", &Request::protocols}}};

// A whole http or https URI may stand for its path and query (RFC 6455, 4.2.1). One whose path is
// empty but not its query is refused: "/?query" does not stand in it.
std::string_view resource_name(std::string_view target) {
  const std::size_t scheme = target.find("://");
  if (scheme == std::string_view::npos || target.starts_with('/')) return target;
  const std::string_view name = target.substr(0, scheme);
  if (!equal_ignoring_case(name, "http") && !equal_ignoring_case(name, "https")) return {};
  const std::size_t authority = scheme + 3;
  const std::size_t path = std::min(target.find_first_of("/?", authority), target.size());
  if (path == authority) return {};
  // An empty path is "/"; the one before the authority is as good as any.
  return path == target.size() ? target.substr(authority - 1, 1) : target.substr(path);
}

bool is_resource_name(std::string_view name) {
  return name.starts_with('/') && std::all_of(name.begin(), name.end(), [](char c) {
           return c > 0x20 && c < 0x7F && c != '#';  // A fragment never travels (RFC 6455, 3).
         });
}

// RFC 6455, 4.2.1: 1.1 or higher; another major version has another syntax.
bool is_version(std::string_view version) {
  constexpr std::string_view kMajor = "HTTP/1.";
  return version.size() == kMajor.size() + 1 && version.starts_with(kMajor) &&
         version.back() >= '1' && version.back() <= '9';
}

// Status of the request line, 0 when it is fine.
int read_request_line(std::string_view line, Request& request) {
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return 400;
  request.method = line.substr(0, first);
  request.target = resource_name(line.substr(first + 1, last - first - 1));
  if (!is_token(request.method) || !is_resource_name(request.target)) return 400;
  if (!is_version(line.substr(last + 1))) return 400;
  return request.method == "GET" ? 0 : 405;
}

int read_field(const Field& field, Request& request) {
  if (equal_ignoring_case(field.name, "Transfer-Encoding")) return 413;
  if (equal_ignoring_case(field.name, "Content-Length")) return field.value == "0" ? 0 : 413;
  for (const KnownField& known : kKnownFields) {
    if (!equal_ignoring_case(field.name, known.name)) continue;
    std::string_view& value = request.*known.member;
    if (value.data() != nullptr) return 400;
    value = field.value.data() != nullptr ? field.value : std::string_view("");
  }
  for (const KnownList& known : kKnownLists) {
    if (!equal_ignoring_case(field.name, known.name)) continue;
    return (request.*known.member).add(field.value) ? 0 : 431;
  }
  return 0;
}

int read_head(std::string_view head, Request& request) {
  if (const int status = read_request_line(take_line(head), request); status != 0) return status;
  FieldReader reader(head);
  Field field;
  for (std::size_t fields = 0; fields <= kMaxFields; ++fields) {
    const FieldReader::Result result = reader.next(field);
    if (result == FieldReader::Result::kMalformed) return 400;
    if (result == FieldReader::Result::kEnd) return request.host.data() == nullptr ? 400 : 0;
    if (const int status = read_field(field, request); status != 0) return status;
  }
  return 431;
}

bool is_key(std::string_view key) {
  if (key.size() != kKeyChars || !key.ends_with("==")) return false;
  return key.substr(0, kKeyChars - 2).find_first_not_of(kBase64Alphabet) == std::string_view::npos;
}

}  // namespace

RequestHead parse_request(std::string_view buffer) {
  RequestHead head;
  const std::size_t size = head_size(buffer.substr(0, kMaxHeadBytes));
  if (size == 0) {
    if (buffer.size() >= kMaxHeadBytes) head = {buffer.size(), 431, {}};
    return head;
  }
  head.size = size;
  head.status = read_head(buffer.substr(0, size), head.request);
  return head;
}

int check_upgrade(const Request& request) {
  if (!list_has(request.upgrade, "websocket")) return 426;
  if (!list_has(request.connection, "upgrade")) return 400;
  if (request.version.data() == nullptr) return 400;
  if (request.version != "13") return 426;
  if (!is_extension_list(request.extensions) || !is_protocol_list(request.protocols)) return 400;
  return is_key(request.key) ? 101 : 400;
}

std::array<char, 28> accept_key(std::string_view key) {
  std::array<char, kKeyChars + kGuid.size()> text{};
  const std::size_t size = std::min(key.size(), kKeyChars);
  std::copy_n(key.begin(), size, text.begin());
  std::copy(kGuid.begin(), kGuid.end(), text.begin() + static_cast<std::ptrdiff_t>(size));
  return base64(sha1({text.data(), size + kGuid.size()}));
}

UpgradeResponse upgrade_response(std::string_view key, const Agreement& agreed) {
  constexpr std::string_view kStart =
      "HTTP/1.1 101 Switching Protocols\r\n"
      "Upgrade: websocket\r\n"
      "Connection: Upgrade\r\n"
      "Sec-WebSocket-Accept: ";
  constexpr std::string_view kProtocol = "\r\nSec-WebSocket-Protocol: ";
  constexpr std::string_view kExtensions = "\r\nSec-WebSocket-Extensions: ";
  constexpr std::string_view kEnd = "\r\n\r\n";
  static_assert(kStart.size() + 28 + kProtocol.size() + kMaxProtocolChars + kExtensions.size() +
                    sizeof(DeflateText::bytes) + kEnd.size() <=
                sizeof(UpgradeResponse::bytes));
  UpgradeResponse out;
  const auto accept = accept_key(key);
  out.append(kStart);
  out.append({accept.data(), accept.size()});
  if (!agreed.protocol.empty()) {
    out.append(kProtocol);
    out.append(agreed.protocol);
  }
  if (agreed.deflate) {
    out.append(kExtensions);
    out.append(deflate_text(*agreed.deflate).text());
  }
  out.append(kEnd);
  return out;
}

std::string http_response(int status, std::string_view body) {
  std::string out = "HTTP/1.1 " + std::to_string(status) + ' ';
  out += status_phrase(status);
  out += "\r\nContent-Type: text/plain\r\n";
  if (status == 401) out += "WWW-Authenticate: Bearer\r\n";
  if (status == 405) out += "Allow: GET\r\n";
  if (status == 426) out += "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
  if (status == 429 || status == 503) out += "Retry-After: 1\r\n";
  out += status == 426 ? "Connection: Upgrade, close\r\n" : "Connection: close\r\n";
  out += "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n";
  out += body;
  return out;
}

}  // namespace epulse::ws
