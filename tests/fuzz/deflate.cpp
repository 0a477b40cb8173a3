// Compressed messages: a stream of frames, and data on its way through both ends.
#include <algorithm>
#include <limits>

#include "server/ws/compression.hpp"
#include "server/ws/parser.hpp"
#include "tests/fuzz/pieces.hpp"
#include "tests/fuzz/target.hpp"

namespace epulse::fuzz {
namespace {

using namespace ws;
using Bytes = std::vector<uint8_t>;

constexpr uint32_t kMaxMessage = 20'000;

std::string frame(Opcode opcode, std::span<const uint8_t> payload, bool fin, bool compressed) {
  const HeaderBytes header = encode_header({opcode, payload.size(), fin, {}, compressed});
  std::string out(header.text());
  out.append(payload.begin(), payload.end());
  return out;
}

constexpr uint64_t kNoPause = std::numeric_limits<uint64_t>::max();

// All that a client makes of a stream that comes in pieces of `step` bytes, when it pauses every
// `pause_bytes` of what it inflates to.
std::string heard(std::string_view stream, size_t step, const DeflateSide& peer,
                  uint64_t pause_bytes = kNoPause) {
  InflatePool pool(1 << 20);
  pool.allow(pause_bytes);
  std::string log;
  {
    Parser parser(Role::kClient, kMaxMessage);
    parser.expect_deflate(pool, peer);
    hear(parser, stream, step, [&](const Event& event) {
      require(event.payload.size() <= kMaxMessage, "no message is longer than allowed");
      if (event.kind == Event::Kind::kNeedMore) return;
      if (event.kind == Event::Kind::kPaused) return pool.allow(pause_bytes);
      log += static_cast<char>(event.kind);
      log += std::to_string(static_cast<int>(event.code)) + ' ';
      log.append(event.payload.begin(), event.payload.end());
    });
  }
  require(pool.held_bytes() == 0, "nothing is held for a connection that is gone");
  return log;
}

// zlib sees that a distance reaches beyond a window of less than 32 KiB only when it has to look
// there: within one piece of output it takes it. So a peer that breaks such an agreement may be
// told 1007 or not, as its data comes.
bool agree(std::string_view pieces, std::string_view whole, const DeflateSide& peer) {
  if (pieces == whole) return true;
  const std::string too_far = static_cast<char>(Event::Kind::kViolation) + std::string("1007 ");
  return peer.window_bits < kMaxWindowBits && pieces.ends_with(too_far) &&
         whole.starts_with(pieces.substr(0, pieces.size() - too_far.size()));
}

void require_pieces_equal_the_whole(std::string_view stream) {
  for (const DeflateSide& peer :
       {DeflateSide{true, 15}, DeflateSide{true, 9}, DeflateSide{false, 15}}) {
    const std::string whole = heard(stream, stream.size(), peer);
    require(agree(heard(stream, 1, peer), whole, peer), "bytes come to the same as the whole");
    require(agree(heard(stream, 7, peer), whole, peer), "pieces do, too");
    require(agree(heard(stream, stream.size(), peer, 100), whole, peer), "and pauses");
    require(agree(heard(stream, 7, peer, 1), whole, peer), "of each byte");
  }
}

// The input as messages, twice over, from one end to the other.
void require_round_trip(std::string_view text, const DeflateSide& side, int mem_level) {
  Compression compression(
      {.window_bits = side.window_bits, .mem_level = mem_level, .min_bytes = 0});
  DeflateSender sender(compression, side);
  const Bytes bytes(text.begin(), text.end());
  std::string stream;
  std::string expected;
  for (size_t i = 0; i < 2 * bytes.size() + 2; i += bytes.size() / 3 + 1) {
    const size_t start = i % (bytes.size() + 1);
    const auto message =
        std::span(bytes).subspan(start, std::min(bytes.size() - start, size_t{999}));
    const DeflateSender::Payload encoded = sender.encode(message);
    stream += frame(Opcode::kBinary, encoded.bytes, true, encoded.compressed);
    expected += static_cast<char>(Event::Kind::kMessage);
    expected += std::to_string(static_cast<int>(CloseCode::kNoStatus)) + ' ';
    expected.append(message.begin(), message.end());
  }
  require(heard(stream, 64, side) == expected, "what was sent arrives");
}

}  // namespace

std::vector<std::string> seeds() {
  // RFC 7692, 7.2.3: two messages that share the window, fragments, BFINAL, two blocks, the empty
  // one.
  const Bytes hello = {0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00};
  const Bytes again = {0xf2, 0x00, 0x11, 0x00, 0x00};
  const Bytes stored = {0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00};
  const Bytes last = {0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00};
  const Bytes two = {0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00};
  const auto whole = [](const Bytes& payload) { return frame(Opcode::kText, payload, true, true); };
  const auto parts = std::span(hello);
  const std::string fragments = frame(Opcode::kText, parts.first(3), false, true) +
                                frame(Opcode::kPing, parts.first(1), true, false) +
                                frame(Opcode::kContinuation, parts.subspan(3), true, false);
  Compression compression({});
  const Bytes zeros(kMaxMessage + 1);
  const std::string bomb = frame(Opcode::kBinary, compression.deflate(zeros, 15), true, true);
  // A match that reaches further back than 512 bytes, in a message that goes on.
  const Bytes far = {0xec, 0xd0, 0x31, 0x01, 0x00, 0x00, 0x00, 0xc2, 0xa0, 0xf5, 0x4f, 0x6d,
                     0x0d, 0x0f, 0x88, 0x40, 0x61, 0xc0, 0x60, 0x6d, 0xc0, 0x0c, 0xc0};
  std::string far_back = frame(Opcode::kBinary, far, true, true);
  far_back[1] = 105;
  return {whole(hello) + whole(again), fragments + whole(stored), whole(last) + whole(two),
          far_back, whole({0x00}) + frame(Opcode::kText, parts.first(2), true, false) + bomb};
}

}  // namespace epulse::fuzz

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace epulse::fuzz;
  const std::string_view text = text_of(data, size);
  require_pieces_equal_the_whole(text);
  require_round_trip(text, {true, 9}, 1);
  require_round_trip(text, {true, 15}, 5);
  require_round_trip(text, {false, 10}, 5);
  return 0;
}
