#include "server/ws/deflate_terms.hpp"

#include <algorithm>

namespace epulse::ws {
namespace {

constexpr std::string_view kName = "permessage-deflate";
constexpr std::string_view kServerNoContextTakeover = "server_no_context_takeover";
constexpr std::string_view kClientNoContextTakeover = "client_no_context_takeover";
constexpr std::string_view kServerMaxWindowBits = "server_max_window_bits";
constexpr std::string_view kClientMaxWindowBits = "client_max_window_bits";

enum class Sender { kClient, kServer };

// 7.1.2: "8" to "15" without leading zeros, else 0. `text` as ListReader::value() gives it.
std::uint8_t window_bits(std::string_view text) {
  unsigned bits = 0;
  for (const char c : text) {
    if (c == '\\') continue;
    const bool is_leading_zero = c == '0' && bits == 0;
    if (c < '0' || c > '9' || is_leading_zero || bits > kMaxWindowBits) return 0;
    bits = bits * 10 + static_cast<unsigned>(c - '0');
  }
  return bits >= 8 && bits <= kMaxWindowBits ? static_cast<std::uint8_t>(bits) : std::uint8_t{0};
}

bool read_flag(const ListReader& reader, bool& flag) {
  if (flag || reader.has_value()) return false;
  flag = true;
  return true;
}

bool read_bits(const ListReader& reader, bool may_lack_value, std::uint8_t& bits) {
  if (bits != 0) return false;
  bits = !reader.has_value() && may_lack_value ? kMaxWindowBits : window_bits(reader.value());
  return bits != 0;
}

// False for a parameter that is unknown, repeated or wrong.
bool read_parameter(const ListReader& reader, Sender sender, DeflateTerms& terms) {
  const std::string_view name = reader.name();
  if (name == kServerNoContextTakeover) return read_flag(reader, terms.server_no_context_takeover);
  if (name == kClientNoContextTakeover) return read_flag(reader, terms.client_no_context_takeover);
  if (name == kServerMaxWindowBits) return read_bits(reader, false, terms.server_max_window_bits);
  // 7.1.2.2: only an offer may leave the value out.
  return name == kClientMaxWindowBits &&
         read_bits(reader, sender == Sender::kClient, terms.client_max_window_bits);
}

std::optional<DeflateTerms> answer_offer(const DeflateTerms& offer, const DeflatePolicy& policy) {
  if (offer.server_max_window_bits != 0 && offer.server_max_window_bits < kMinWindowBits) {
    return std::nullopt;
  }
  DeflateTerms answer;
  // A server may demand both of these unasked (7.1.1.1, 7.1.1.2).
  answer.server_no_context_takeover = offer.server_no_context_takeover || !policy.context_takeover;
  // 7.1.2.2: client_max_window_bits must not answer an offer without it. To keep within our window,
  // such a client has to do without context: then each message can be inflated with a shared one.
  const bool is_too_large =
      offer.client_max_window_bits == 0 && policy.window_bits < kMaxWindowBits;
  answer.client_no_context_takeover =
      offer.client_no_context_takeover || !policy.context_takeover || is_too_large;

  const std::uint8_t ours = answer.server_no_context_takeover ? kMaxWindowBits : policy.window_bits;
  if (offer.server_max_window_bits != 0) {
    answer.server_max_window_bits = std::min(offer.server_max_window_bits, ours);
  } else if (ours < kMaxWindowBits) {
    answer.server_max_window_bits = ours;
  }
  if (!answer.client_no_context_takeover) {
    const std::uint8_t theirs = std::min(offer.client_max_window_bits, policy.window_bits);
    if (theirs < kMaxWindowBits) answer.client_max_window_bits = theirs;
  }
  return answer;
}

// Whether a server may answer so, and what it comes to: the client keeps to the limits that it
// announced for itself, whether or not they are repeated.
std::optional<DeflateTerms> reconcile(const DeflateTerms& offer, DeflateTerms answer) {
  if (offer.server_no_context_takeover && !answer.server_no_context_takeover) return std::nullopt;
  if (offer.server_max_window_bits != 0 &&
      (answer.server_max_window_bits == 0 ||
       answer.server_max_window_bits > offer.server_max_window_bits)) {
    return std::nullopt;
  }
  // Also when it was not offered at all.
  if (answer.client_max_window_bits > offer.client_max_window_bits) return std::nullopt;
  if (answer.client_max_window_bits == 0) {
    answer.client_max_window_bits = offer.client_max_window_bits;
  }
  answer.client_no_context_takeover |= offer.client_no_context_takeover;
  return answer;
}

DeflateSide side(bool no_context_takeover, std::uint8_t max_window_bits) {
  return {!no_context_takeover, max_window_bits != 0 ? max_window_bits : kMaxWindowBits};
}

}  // namespace

DeflateSide server_side(const DeflateTerms& agreed) {
  return side(agreed.server_no_context_takeover, agreed.server_max_window_bits);
}

DeflateSide client_side(const DeflateTerms& agreed) {
  return side(agreed.client_no_context_takeover, agreed.client_max_window_bits);
}

std::optional<DeflateTerms> answer_offers(const ListField& offers, const DeflatePolicy& policy) {
  ListReader reader(offers);
  std::optional<DeflateTerms> offer;  // being read; nothing when it is not for us or not acceptable
  while (true) {
    const ListReader::Item item = reader.next();
    if (item == ListReader::Item::kParameter) {
      if (offer && !read_parameter(reader, Sender::kClient, *offer)) offer.reset();
      continue;
    }
    if (item == ListReader::Item::kMalformed) return std::nullopt;
    const auto answer = offer ? answer_offer(*offer, policy) : std::nullopt;
    if (answer || item == ListReader::Item::kEnd) return answer;
    offer.reset();
    if (reader.name() == kName) offer.emplace();
  }
}

std::optional<DeflateTerms> check_answer(const ListField& answer, const DeflateTerms& offer) {
  ListReader reader(answer);
  if (reader.next() != ListReader::Item::kElement || reader.name() != kName) return std::nullopt;
  DeflateTerms terms;
  ListReader::Item item = reader.next();
  for (; item == ListReader::Item::kParameter; item = reader.next()) {
    if (!read_parameter(reader, Sender::kServer, terms)) return std::nullopt;
  }
  // A second element: not ours, or RSV1 would stand for two things (RFC 7692, 5).
  return item == ListReader::Item::kEnd ? reconcile(offer, terms) : std::nullopt;
}

DeflateText deflate_text(const DeflateTerms& terms) {
  DeflateText out;
  const auto append_bits = [&out](std::string_view name, std::uint8_t bits) {
    out.append("; ");
    out.append(name);
    out.append(bits < 10 ? "=" : "=1");
    const char last = static_cast<char>('0' + bits % 10);
    out.append({&last, 1});
  };
  out.append(kName);
  for (const auto& [flag, name] :
       {std::pair(terms.server_no_context_takeover, kServerNoContextTakeover),
        std::pair(terms.client_no_context_takeover, kClientNoContextTakeover)}) {
    if (!flag) continue;
    out.append("; ");
    out.append(name);
  }
  if (terms.server_max_window_bits != 0) {
    append_bits(kServerMaxWindowBits, terms.server_max_window_bits);
  }
  if (terms.client_max_window_bits == kMaxWindowBits) {
    // Only an offer has it, and says by it no more than that it may be told a lower one.
    out.append("; ");
    out.append(kClientMaxWindowBits);
  } else if (terms.client_max_window_bits != 0) {
    append_bits(kClientMaxWindowBits, terms.client_max_window_bits);
  }
  return out;
}

}  // namespace epulse::ws
