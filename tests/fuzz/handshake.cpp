// Opening handshakes: what a server makes of a request, and a client of an answer.
#include <algorithm>

#include "server/access/token.hpp"
#include "server/ws/client_handshake.hpp"
#include "server/ws/handshake.hpp"
#include "server/ws/http.hpp"
#include "tests/fuzz/target.hpp"

namespace epulse::fuzz {
namespace {

using namespace ws;

constexpr std::string_view kKey = "dGhlIHNhbXBsZSBub25jZQ==";
constexpr std::string_view kTokenKey = "a key that only tests know";
constexpr uint64_t kNow = 1'700'000'000;

const UpgradeOffer kOffer = {{}, DeflateTerms{}};

void require_in(std::string_view part, std::string_view whole) {
  require(part.empty() || (part.data() >= whole.data() &&
                           part.data() + part.size() <= whole.data() + whole.size()),
          "views are into the buffer");
}

void check_request(std::string_view text) {
  const std::vector<char> exact(text.begin(), text.end());  // one byte too many is seen
  const std::string_view buffer(exact.data(), exact.size());
  const RequestHead head = parse_request(buffer);
  require(head.size <= buffer.size(), "a head is no longer than what came");
  if (head.size == 0) return require(head.status == 0, "half a head has no verdict");
  require(parse_request(buffer.substr(0, head.size)).status == head.status,
          "what follows the head does not count");
  if (head.status != 0) return require(!status_phrase(head.status).empty(), "refusals have names");
  const Request& request = head.request;
  for (const std::string_view part : {request.method, request.target, request.host, request.key,
                                      request.origin, request.authorization}) {
    require_in(part, buffer);
  }
  require(request.method == "GET" && request.target.starts_with('/'),
          "only GET /... is well formed");
  const std::string_view token = epulse::server::token_of(request.authorization, request.target);
  require(!epulse::server::verify_token(token, kTokenKey, kNow), "nobody guesses a token");
  if (check_upgrade(request) != 101) return;
  const UpgradeResponse response = upgrade_response(request.key);
  require(check_response(response.text(), request.key).verdict == ResponseHead::Verdict::kAccepted,
          "clients take what servers answer");
}

void check_answer(std::string_view text) {
  const std::vector<char> exact(text.begin(), text.end());
  const std::string_view buffer(exact.data(), exact.size());
  const ResponseHead head = check_response(buffer, kKey, kOffer);
  if (head.verdict == ResponseHead::Verdict::kIncomplete) return;
  if (head.verdict == ResponseHead::Verdict::kRefused) {
    return require(!head.reason.empty(), "refusals have reasons");
  }
  require(head.size <= buffer.size(), "a head is no longer than what came");
  const auto key = accept_key(kKey);
  require(buffer.find(std::string_view(key.data(), key.size())) < head.size,
          "only who knows the key is accepted");
}

}  // namespace

std::vector<std::string> seeds() {
  const std::string token = epulse::server::issue_token("alice", kNow - 1, kTokenKey);
  std::string request = upgrade_request("localhost:9001", "/topic/a?token=" + token, kKey, kOffer);
  std::string browser = upgrade_request("localhost:9001", "/", kKey);
  browser.insert(browser.size() - 2,
                 "Origin: https://example.org\r\nAuthorization: Bearer " + token + "\r\n");
  return {request, browser, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
          std::string(upgrade_response(kKey, {{}, DeflateTerms{}}).text()),
          http_response(426, "Upgrade Required\n")};
}

}  // namespace epulse::fuzz

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = epulse::fuzz::text_of(data, size);
  epulse::fuzz::check_request(text);
  epulse::fuzz::check_answer(text);
  return 0;
}
