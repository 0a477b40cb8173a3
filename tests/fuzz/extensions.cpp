// The fields of an opening handshake that are lists: extensions and sub-protocols.
#include <algorithm>
#include <array>

#include "server/ws/client_handshake.hpp"
#include "server/ws/deflate_terms.hpp"
#include "server/ws/handshake.hpp"
#include "server/ws/list_field.hpp"
#include "server/ws/subprotocol.hpp"
#include "tests/fuzz/target.hpp"

namespace epulse::fuzz {
namespace {

using namespace ws;

constexpr std::string_view kKey = "dGhlIHNhbXBsZSBub25jZQ==";

// The lines of an input are those of the field.
ListField field_of(std::string_view text) {
  ListField field;
  bool fits = true;
  while (fits && !text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    fits = field.add(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return field;
}

void require_items_are_tokens(const ListField& field) {
  ListReader reader(field);
  while (true) {
    const ListReader::Item item = reader.next();
    if (item == ListReader::Item::kEnd || item == ListReader::Item::kMalformed) return;
    require(is_token(reader.name()), "names are tokens");
    if (item == ListReader::Item::kElement || !reader.has_value()) continue;
    std::string value(reader.value());
    std::erase(value, '\\');
    require(is_token(value), "values are tokens once unquoted");
  }
}

// Whatever a server says yes to, it says in a form that clients take which made such an offer; and
// it says no more than it was told.
void require_answer(const ListField& offers, const DeflatePolicy& policy) {
  const auto answer = answer_offers(offers, policy);
  if (!answer) return;
  require(is_extension_list(offers) || !offers.absent(), "an answer has an offer");
  const DeflateText text = deflate_text(*answer);
  require(text.size < sizeof(text.bytes), "the longest answer fits");
  require(server_side(*answer).window_bits >= kMinWindowBits, "zlib can deflate for it");
  require(policy.context_takeover ||
              (answer->server_no_context_takeover && answer->client_no_context_takeover),
          "no context is taken over against the policy");
  if (server_side(*answer).context_takeover) {
    require(server_side(*answer).window_bits <= policy.window_bits, "our window is within limits");
  }
  if (client_side(*answer).context_takeover) {
    require(client_side(*answer).window_bits <= policy.window_bits, "theirs is, too");
  }
  const DeflateTerms generous = {false, false, 0, kMaxWindowBits};
  ListField again;
  again.add(text.text());
  require(check_answer(again, generous).has_value(), "a client takes the answer");
  const UpgradeResponse response = upgrade_response(kKey, {{}, answer});
  require(check_response(response.text(), kKey, {{}, generous}).verdict ==
              ResponseHead::Verdict::kAccepted,
          "and the response that carries it");
}

void require_client(const ListField& field) {
  constexpr std::array<DeflateTerms, 3> kOffers = {
      {{}, {true, true, 10, 10}, {false, false, 0, kMaxWindowBits}}};
  for (const DeflateTerms& offer : kOffers) {
    const auto agreed = check_answer(field, offer);
    if (!agreed) continue;
    require(agreed->server_no_context_takeover || !offer.server_no_context_takeover,
            "what the client insists on is granted");
    require(client_side(*agreed).window_bits <=
                (offer.client_max_window_bits == 0 ? kMaxWindowBits : offer.client_max_window_bits),
            "its own limits hold");
  }
}

void require_all(std::string_view text) {
  const ListField field = field_of(text);
  require_items_are_tokens(field);
  for (const DeflatePolicy& policy :
       {DeflatePolicy{false, 15}, DeflatePolicy{true, 15}, DeflatePolicy{true, 9}}) {
    require_answer(field, policy);
  }
  require_client(field);
  static const std::vector<std::string> ours = {"chat", "a"};
  const std::string_view chosen = choose_protocol(field, ours);
  if (!chosen.empty()) require(text.find(chosen) != text.npos, "what is chosen was offered");
  is_protocol_list(field);
}

}  // namespace

std::vector<std::string> seeds() {
  return {"permessage-deflate; client_max_window_bits",
          "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
          "server_max_window_bits=\"1\\0\"; client_max_window_bits=15, permessage-deflate",
          "x; y = 1\n ,, permessage-deflate;server_max_window_bits=9\npermessage-deflate",
          "chat, superchat ,a"};
}

}  // namespace epulse::fuzz

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  epulse::fuzz::require_all(epulse::fuzz::text_of(data, size));
  return 0;
}
