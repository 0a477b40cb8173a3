// permessage-deflate at work: RFC 7692, 6 and 7.2. The suites are named after the sections.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "server/ws/compression.hpp"
#include "server/ws/deflater.hpp"
#include "server/ws/inflate_pool.hpp"
#include "server/ws/inflater.hpp"
#include "tests/server/deflate_end.hpp"

namespace epulse::ws {
namespace {

using Kind = Event::Kind;
using testing::Bytes;
using testing::bytes_of;
using testing::End;
using testing::frame;
using testing::json_text;
using testing::operator+;  // NOLINT(misc-unused-using-decls): it misses uses of operators
using testing::Seen;
using testing::text_of;

constexpr std::uint32_t kMaxMessage = 200'000;
constexpr DeflateSide kWithContext = {true, 15};
constexpr DeflateSide kNoContext = {false, 15};

// A client that hears compressed messages.
End listener(const DeflateSide& peer = kWithContext, std::uint32_t max_message = kMaxMessage) {
  return End(Role::kClient, {}, peer, {}, max_message);
}

Seen message(std::string_view text) {
  return {Kind::kMessage, Opcode::kText, bytes_of(text), 1005};
}

// The whole stream at once, byte by byte, and with pauses: all have to come to the same.
std::vector<Seen> hear(const Bytes& stream, const DeflateSide& peer = kWithContext,
                       std::uint32_t max_message = kMaxMessage) {
  End whole = listener(peer, max_message);
  std::vector<Seen> seen = whole.hear(stream);
  End bytewise = listener(peer, max_message);
  EXPECT_EQ(bytewise.hear_in_pieces(stream, 1), seen);
  End pausing = listener(peer, max_message);
  pausing.pause_every(3);
  EXPECT_EQ(pausing.hear(stream), seen);
  return seen;
}

void expect_violation(const std::vector<Seen>& seen, int code) {
  ASSERT_FALSE(seen.empty());
  EXPECT_EQ(seen.back().kind, Kind::kViolation);
  EXPECT_EQ(seen.back().code, code);
}

// Examples of the RFC. 7.2.3.1 and on: all say "Hello".
const Bytes kHello = {0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00};

TEST(Rfc7692_7_2_3_1, OneCompressedDeflateBlock) {
  EXPECT_EQ(hear({0xc1, 0x07, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00}),
            std::vector{message("Hello")});
  EXPECT_EQ(hear({0x41, 0x03, 0xf2, 0x48, 0xcd, 0x80, 0x04, 0xc9, 0xc9, 0x07, 0x00}),
            std::vector{message("Hello")});
  std::vector<std::uint8_t> out;
  const auto made = Deflater({}).deflate(bytes_of("Hello"), out);
  EXPECT_EQ(Bytes(made.begin(), made.end()), kHello);
}

TEST(Rfc7692_7_2_3_2, SharingTheWindow) {
  const Bytes twice = {0xc1, 0x07, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07,
                       0x00, 0xc1, 0x05, 0xf2, 0x00, 0x11, 0x00, 0x00};
  EXPECT_EQ(hear(twice), (std::vector{message("Hello"), message("Hello")}));
  // Without context the second refers to nothing.
  expect_violation(hear(twice, kNoContext), 1007);
  std::vector<std::uint8_t> out;
  Deflater deflater({});
  deflater.deflate(bytes_of("Hello"), out);
  const auto second = deflater.deflate(bytes_of("Hello"), out);
  EXPECT_EQ(Bytes(second.begin(), second.end()), (Bytes{0xf2, 0x00, 0x11, 0x00, 0x00}));
}

TEST(Rfc7692_7_2_3_3, ABlockWithoutCompression) {
  EXPECT_EQ(hear({0xc1, 0x0b, 0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00}),
            std::vector{message("Hello")});
}

TEST(Rfc7692_7_2_3_4, ABlockWithBfinal) {
  EXPECT_EQ(hear({0xc1, 0x08, 0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00}),
            std::vector{message("Hello")});
}

TEST(Rfc7692_7_2_3_5, TwoBlocks) {
  EXPECT_EQ(hear({0xc1, 0x0d, 0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9,
                  0x07, 0x00}),
            std::vector{message("Hello")});
}

// "an endpoint MUST" send an empty message as the one byte 0x00, again and again.
TEST(Rfc7692_7_2_3_6, TheEmptyMessage) {
  EXPECT_EQ(hear({0xc1, 0x01, 0x00, 0xc1, 0x01, 0x00}), (std::vector{message(""), message("")}));
  EXPECT_EQ(hear({0x41, 0x00, 0x80, 0x01, 0x00}), std::vector{message("")});
  Deflater deflater({});
  std::vector<std::uint8_t> out;
  for (int i = 0; i < 3; ++i) {
    const auto made = deflater.deflate({}, out);
    EXPECT_EQ(Bytes(made.begin(), made.end()), Bytes{0x00});
  }
}

// 7.2.1: blocks may follow one with BFINAL, padded to a byte boundary, and share its window: the
// second block here is "<5 bytes back, 5 long>".
TEST(Rfc7692_7_2_1, BlocksAfterBfinalGoOnWithTheWindow) {
  const Bytes final_hello = {0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00};
  Bytes payload = final_hello;
  const Bytes again = {0xf2, 0x00, 0x11, 0x00, 0x00};  // as in 7.2.3.2
  payload.insert(payload.end(), again.begin(), again.end());
  EXPECT_EQ(hear(frame(Opcode::kText, payload, true, true)), std::vector{message("HelloHello")});
  // Also into the next message, even when the tail itself completes a block with BFINAL.
  const Bytes stream =
      frame(Opcode::kText, Bytes{0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x04}, true, true) +
      frame(Opcode::kText, again, true, true);
  EXPECT_EQ(hear(stream), (std::vector{message("Hello"), message("Hello")}));
}

TEST(Rfc7692_7_2_1, TheTailIsRemovedAndAddedAtAnySize) {
  for (std::size_t size = 1; size < 3000; size = size * 5 / 4 + 1) {
    for (const int level : {1, 6, 9}) {
      std::vector<std::uint8_t> out(1);  // so that it grows in the midst of it
      Deflater deflater({15, 8, level});
      const Bytes text = json_text(size, size);
      const auto deflated = deflater.deflate(text, out);
      const Bytes stream = frame(Opcode::kText, deflated, true, true);
      EXPECT_EQ(hear(stream), std::vector{message(text_of(text))}) << size;
    }
  }
}

// Padding behind blocks with BFINAL is a duty of who sends such; we never do.
TEST(Rfc7692_7_2_1, NoBlockOfOursHasBfinal) {
  std::vector<std::uint8_t> out;
  for (const std::size_t size : {1U, 100U, 5000U, 150'000U}) {
    const auto deflated = Deflater({}).deflate(json_text(size, 1), out);
    Bytes input(deflated.begin(), deflated.end());
    input.insert(input.end(), {0x00, 0x00, 0xff, 0xff});
    Bytes inflated(size + 1);
    z_stream stream{};
    ASSERT_EQ(inflateInit2(&stream, -15), Z_OK);
    stream.next_in = input.data();
    stream.avail_in = static_cast<uInt>(input.size());
    stream.next_out = inflated.data();
    stream.avail_out = static_cast<uInt>(inflated.size());
    EXPECT_EQ(::inflate(&stream, Z_SYNC_FLUSH), Z_OK) << "or a stream that has ended";
    EXPECT_EQ(stream.avail_in, 0U);
    inflateEnd(&stream);
  }
}

// "If the agreed parameters contain the server_no_context_takeover [...] the server MUST start
// compressing each new message with an empty LZ77 sliding window": each is the first.
TEST(Rfc7692_7_2_1, WithoutContextEachMessageIsAsTheFirst) {
  for (const Role role : {Role::kServer, Role::kClient}) {
    End end(role, {false, 15}, {true, 15});
    const Bytes first = end.say(Opcode::kText, json_text(5000, 1));
    end.say(Opcode::kText, json_text(5000, 2));
    EXPECT_EQ(end.say(Opcode::kText, json_text(5000, 1)), first);
  }
}

// "the server MUST NOT use an LZ77 sliding window longer than the w-th power of 2 bytes".
TEST(Rfc7692_7_2_1, NoDistanceIsLongerThanTheAgreedWindow) {
  for (std::uint8_t bits = 9; bits <= 15; ++bits) {
    for (const bool context : {false, true}) {
      CompressionOptions options;
      options.window_bits = 15;
      options.level = 9;
      Compression compression(options);
      DeflateSender sender(compression, {context, bits});
      Inflater inflater(bits);  // refuses what reaches back further
      Bytes out(200'000);
      for (std::size_t i = 0; i < 20; ++i) {
        const Bytes text = json_text(std::size_t{1000} << (i % 8), i % 3);
        const auto encoded = sender.encode(text);
        ASSERT_TRUE(encoded.compressed);
        Bytes input(encoded.bytes.begin(), encoded.bytes.end());
        input.insert(input.end(), {0, 0, 0xff, 0xff});
        if (!context) inflater.reset();
        std::span<const std::uint8_t> rest = input;
        std::span<std::uint8_t> room = out;
        ASSERT_EQ(inflater.inflate(rest, room), Inflater::Status::kInputUsed) << int{bits};
        EXPECT_TRUE(std::equal(text.begin(), text.end(), out.begin()));
        EXPECT_EQ(out.size() - room.size(), text.size());
      }
    }
  }
}

// Who may only use 256 bytes sends as it is: zlib cannot keep to that.
TEST(Rfc7692_7_2_1, AWindowOf256BytesIsKeptByNotCompressing) {
  Compression compression({});
  DeflateSender sender(compression, {true, 8});
  EXPECT_FALSE(sender.encode(json_text(5000, 1)).compressed);
  EXPECT_EQ(sender.window_bits(), 0);
}

// "Otherwise, the client MUST decompress each new message using the LZ77 sliding window used to
// process the last compressed message", and it "MUST use a 32,768-byte LZ77 sliding window".
TEST(Rfc7692_7_2_2, TheWholeWindowIsKeptFromMessageToMessage) {
  const Bytes noise = testing::random_bytes(32'000, 1);
  End sender(Role::kServer, {true, 15}, {true, 15}, {.window_bits = 15, .mem_level = 8});
  const Bytes first = sender.say(Opcode::kBinary, noise);
  const Bytes second = sender.say(Opcode::kBinary, noise);
  EXPECT_GT(first.size(), noise.size());
  EXPECT_LT(second.size(), noise.size() / 20);
  End ear = listener();
  EXPECT_EQ(ear.hear(first).at(0).payload, noise);
  EXPECT_EQ(ear.hear(second).at(0).payload, noise);
  // That the window matters: a smaller one cannot follow.
  End deaf = listener({true, 12});
  deaf.hear(first);
  expect_violation(deaf.hear(second), 1007);
}

TEST(Rfc7692_6_1, MessagesMayBeSentUncompressed) {
  CompressionOptions options;
  options.min_bytes = 100;
  End sender(Role::kServer, kNoContext, kNoContext, options);
  End ear = listener(kNoContext);
  const Bytes noise = testing::random_bytes(500, 1);
  for (const Bytes& payload : {json_text(99, 1), noise, json_text(100, 1)}) {
    const Bytes stream = sender.say(Opcode::kBinary, payload);
    const bool compressed = (stream[0] & 0x40U) != 0;
    EXPECT_EQ(compressed, payload.size() == 100);
    EXPECT_EQ(ear.hear(stream).at(0).payload, payload);
  }
}

TEST(Rfc7692_6_1, UncompressedMessagesBetweenCompressedOnesLeaveTheContextAlone) {
  End ear = listener();
  EXPECT_EQ(ear.hear(frame(Opcode::kText, kHello, true, true)), std::vector{message("Hello")});
  EXPECT_EQ(ear.hear(frame(Opcode::kText, bytes_of("plain"))), std::vector{message("plain")});
  EXPECT_EQ(ear.hear(frame(Opcode::kText, Bytes{0xf2, 0x00, 0x11, 0x00, 0x00}, true, true)),
            std::vector{message("Hello")});
}

TEST(Rfc7692_6_1, FragmentsWithControlFramesBetween) {
  const Bytes text = json_text(3000, 5);
  End sender(Role::kServer, kWithContext, kWithContext);
  const Bytes whole = sender.say(Opcode::kText, text);
  const Bytes payload(whole.begin() + 4, whole.end());  // behind a header with a length of 16 bits
  Bytes stream;
  for (std::size_t i = 0; i < payload.size(); i += 7) {
    const std::size_t end = std::min(i + 7, payload.size());
    const auto part = std::span(payload).subspan(i, end - i);
    stream = stream + frame(i == 0 ? Opcode::kText : Opcode::kContinuation, part,
                            end == payload.size(), i == 0);
    if (end != payload.size()) stream = stream + frame(Opcode::kPing, bytes_of("between"));
  }
  const std::vector<Seen> seen = hear(stream);
  ASSERT_GT(seen.size(), 10U);
  EXPECT_EQ(seen.back(), message(text_of(text)));
  for (std::size_t i = 0; i + 1 < seen.size(); ++i) {
    EXPECT_EQ(seen[i].kind, Kind::kPing);
    EXPECT_EQ(seen[i].payload, bytes_of("between"));
  }
}

// "An endpoint MUST NOT set the Per-Message Compressed bit of control frames and non-first
// fragments of a data message. An endpoint receiving such a frame MUST _Fail the WebSocket
// Connection_."
TEST(Rfc7692_6, CompressedBitOfControlFramesAndContinuations) {
  for (const Opcode opcode : {Opcode::kPing, Opcode::kPong, Opcode::kClose}) {
    expect_violation(hear(frame(opcode, Bytes{}, true, true)), 1002);
  }
  for (const bool first_is_compressed : {false, true}) {
    expect_violation(hear(frame(Opcode::kText, Bytes{}, false, first_is_compressed) +
                          frame(Opcode::kContinuation, Bytes{0x00}, true, true)),
                     1002);
  }
}

// RFC 6455, 5.2: the bits that nothing was negotiated for.
TEST(Rfc6455_5_2, ReservedBitsThatMeanNothing) {
  for (const unsigned bits : {0x20U, 0x10U, 0x30U, 0x60U, 0x50U, 0x70U}) {
    Bytes stream = frame(Opcode::kText, Bytes{0x00});
    stream[0] = static_cast<std::uint8_t>(stream[0] | bits);
    expect_violation(hear(stream), 1002);
  }
  Parser parser(Role::kClient, kMaxMessage);  // nothing negotiated
  Bytes stream = frame(Opcode::kText, Bytes{0x00}, true, true);
  std::span<std::uint8_t> input = stream;
  EXPECT_EQ(parser.next(input).code, CloseCode::kProtocolError);
}

// Corrupt data is a payload that is not what it says to be: 1007.
TEST(Rfc7692_7_2_2, CorruptDataIsAnswered1007) {
  const std::vector<Bytes> wrong = {
      {},                                                      // not even the 0x00 of 7.2.3.6
      {0x06},                                                  // block of type 3
      {0x00, 0x05, 0x00, 0xfa, 0x00, 1, 2, 3, 4, 5, 0x00},     // length and its complement differ
      {0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65},              // block cut short
      {0xf2, 0x48, 0xcd},                                      // same
      {0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07},                    // without the last header
      {0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00},              // 7.2.3.4 without its last byte
      {0xf2, 0x00, 0x11, 0x00, 0x00},                          // reaches back before the start
      {0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00, 0x01},  // a length without its complement
      {0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
  };
  for (const Bytes& payload : wrong) {
    SCOPED_TRACE(::testing::PrintToString(payload));
    expect_violation(hear(frame(Opcode::kBinary, payload, true, true)), 1007);
    expect_violation(hear(frame(Opcode::kBinary, payload, false, true) +
                          frame(Opcode::kContinuation, Bytes{}, true)),
                     1007);
  }
}

// RFC 6455, 8.1: of the text, not of what carries it, and as soon as it shows.
TEST(Rfc6455_8_1, InflatedTextIsUtf8) {
  const auto compressed = [](std::string_view text, bool fin) {
    Deflater deflater({});
    std::vector<std::uint8_t> out;
    return frame(Opcode::kText, deflater.deflate(bytes_of(text), out), fin, true);
  };
  expect_violation(hear(compressed("\xFF", true)), 1007);
  expect_violation(hear(compressed("\xE2\x82", true)), 1007);
  EXPECT_EQ(hear(compressed("\xE2\x82\xAC", true)), std::vector{message("\xE2\x82\xAC")});
  // In the first fragment of many; nothing else has come.
  expect_violation(hear(compressed("good \xC0 and more", false)), 1007);
  // In the first bytes of a frame whose end is far.
  Bytes long_frame = compressed("\xED\xA0\x80" + std::string(20, 'x'), true);
  long_frame[1] = 125;
  expect_violation(hear(long_frame), 1007);
  // A character that two fragments share is fine.
  Deflater deflater({});
  std::vector<std::uint8_t> out;
  const auto payload = deflater.deflate(bytes_of("\xE2\x82\xAC"), out);
  Bytes stream;
  for (std::size_t i = 0; i < payload.size(); ++i) {
    stream = stream + frame(i == 0 ? Opcode::kText : Opcode::kContinuation, payload.subspan(i, 1),
                            i + 1 == payload.size(), i == 0);
  }
  EXPECT_EQ(hear(stream), std::vector{message("\xE2\x82\xAC")});
}

// Zeros by the MB in some bytes.
Bytes bomb(std::size_t inflated_bytes) {
  Deflater deflater({15, 8, 9});
  std::vector<std::uint8_t> out;
  const auto deflated = deflater.deflate(Bytes(inflated_bytes), out);
  return {deflated.begin(), deflated.end()};
}

TEST(Bombs, TheLimitIsThatOfTheInflatedMessage) {
  for (const std::size_t size : {kMaxMessage - 1, kMaxMessage}) {
    const std::vector<Seen> seen = hear(frame(Opcode::kBinary, bomb(size), true, true));
    ASSERT_EQ(seen.size(), 1U);
    EXPECT_EQ(seen[0].payload.size(), size);
  }
  expect_violation(hear(frame(Opcode::kBinary, bomb(kMaxMessage + 1), true, true)), 1009);
  const Bytes half = bomb(kMaxMessage / 2 + 1) + Bytes{0x00, 0x00, 0xff, 0xff};
  expect_violation(
      hear(frame(Opcode::kBinary, half, false, true) + frame(Opcode::kContinuation, half, false)),
      1009);
}

// What inflating stops at is the limit, not the end of the message.
TEST(Bombs, NoMoreThanTheLimitIsInflated) {
  InflatePool pool(1 << 20);
  InflatePool::LoanPtr loan = pool.lend(kNoContext);
  const Bytes data = bomb(50'000'000);
  const InflatePool::Inflated inflated = pool.inflate(*loan, data, true, 1000);
  EXPECT_EQ(inflated.status, InflatePool::Status::kTooBig);
  EXPECT_EQ(inflated.bytes.size(), 1001U);
}

// However often it pauses, and wherever the input is cut, what is heard is the same: of a masked
// stream, too, whose rest is given back.
TEST(Pauses, ChangeNothingOfWhatIsHeard) {
  for (const DeflateSide& side : {kWithContext, kNoContext}) {
    End client(Role::kClient, side, side);
    Bytes stream = client.say(Opcode::kText, json_text(60'000, 1)) +
                   client.say(Opcode::kBinary, Bytes(100'000)) + client.say(Opcode::kText, Bytes{});
    stream = stream + client.say(Opcode::kText, json_text(20'000, 2), 700) +
             client.say(Opcode::kBinary, testing::random_bytes(30'000, 3));
    // Without context the noise is sent as it is.
    const std::uint64_t inflated = side.context_takeover ? 210'000 : 180'000;
    const std::vector<Seen> whole = End(Role::kServer, side, side).hear(stream);
    ASSERT_EQ(whole.size(), 5U);
    for (const std::size_t bytes : {999U, 24'576U, 70'000U, 210'000U}) {
      for (const std::size_t piece : {std::size_t{700}, stream.size()}) {
        End server(Role::kServer, side, side);
        server.pause_every(bytes);
        EXPECT_TRUE(server.hear_in_pieces(stream, piece) == whole) << bytes << ' ' << piece;
        EXPECT_EQ(server.pauses(), inflated / bytes) << bytes << ' ' << piece;
      }
    }
  }
}

TEST(Pauses, LimitsAndFaultsAreSeenBehindThem) {
  End bombed = listener(kNoContext);
  bombed.pause_every(1'000);
  expect_violation(bombed.hear(frame(Opcode::kBinary, bomb(kMaxMessage + 1), true, true)), 1009);
  EXPECT_EQ(bombed.pauses(), kMaxMessage / 1'000);

  Bytes corrupt = bomb(50'000);
  corrupt.back() = 0xff;
  End pausing = listener(kNoContext);
  pausing.pause_every(1'000);
  expect_violation(pausing.hear(frame(Opcode::kBinary, corrupt, true, true)), 1007);
  EXPECT_GE(pausing.pauses(), 40U);
}

// Messages that never end hold memory; all of them together no more than the cap.
TEST(Bombs, UnfinishedMessagesAreCapped) {
  constexpr std::uint64_t kCap = 1'000'000;
  Compression compression({.inflating_cap_bytes = kCap});
  std::vector<std::unique_ptr<Parser>> parsers;
  const Bytes start = frame(Opcode::kBinary, bomb(90'000), false, true);
  std::size_t refused = 0;
  for (int i = 0; i < 20; ++i) {
    parsers.push_back(std::make_unique<Parser>(Role::kClient, kMaxMessage));
    parsers.back()->expect_deflate(compression.inflaters(), kNoContext);
    Bytes copy = start;
    std::span<std::uint8_t> input = copy;
    const Event event = parsers.back()->next(input);
    if (event.kind != Kind::kViolation) continue;
    EXPECT_EQ(event.code, CloseCode::kTryAgainLater);
    ++refused;
  }
  EXPECT_LE(compression.inflaters().held_bytes(), kCap);
  EXPECT_GT(compression.inflaters().held_bytes(), kCap / 2);
  EXPECT_GT(refused, 10U);
  parsers.resize(2);
  EXPECT_LT(compression.inflaters().held_bytes(), 300'000U);
  // Who comes to an end holds nothing any more.
  Bytes end = frame(Opcode::kContinuation, Bytes{}, true);
  std::span<std::uint8_t> input = end;
  EXPECT_EQ(parsers[0]->next(input).payload.size(), 90'000U);
  parsers.resize(1);
  EXPECT_EQ(compression.inflaters().held_bytes(), 0U);
}

// DEFLATE makes what it cannot compress longer: such a message is not too big yet.
TEST(Bombs, AMessageThatGrewByDeflatingIsNotTooBig) {
  std::vector<std::uint8_t> out;
  const Bytes noise = testing::random_bytes(kMaxMessage, 3);
  for (int mem_level = 1; mem_level <= 9; ++mem_level) {
    const auto deflated = Deflater({9, mem_level, 6}).deflate(noise, out);
    EXPECT_GT(deflated.size(), noise.size());
    const std::vector<Seen> seen = listener().hear(frame(Opcode::kBinary, deflated, true, true));
    ASSERT_EQ(seen.size(), 1U);
    EXPECT_EQ(seen[0].payload, noise);
  }
  // But a length that no deflater would come to is, before any of it is here.
  Bytes start = {0xc2, 127, 0, 0, 0, 0, 0x7f, 0, 0, 0};
  expect_violation(hear(start), 1009);
}

TEST(SharedCompression, AnIdleConnectionOwnsNothing) {
  Compression compression({.mode = CompressionOptions::Mode::kShared});
  Parser parser(Role::kClient, kMaxMessage);
  parser.expect_deflate(compression.inflaters(), kNoContext);
  const Bytes text = json_text(50'000, 1);
  for (int i = 0; i < 3; ++i) {
    DeflateSender sender(compression, kNoContext);
    Bytes stream = frame(Opcode::kText, sender.encode(text).bytes, true, true);
    std::span<std::uint8_t> input = stream;
    EXPECT_EQ(parser.next(input).payload.size(), text.size());
    EXPECT_EQ(parser.next(input).kind, Kind::kNeedMore);
    EXPECT_EQ(parser.gathered_bytes(), 0U);
    EXPECT_EQ(compression.inflaters().held_bytes(), 0U);
  }
}

TEST(SharedCompression, TheWindowIsNoLargerThanTheMessageNeeds) {
  EXPECT_EQ(Compression::window_bits_for(0, 15), 9);
  EXPECT_EQ(Compression::window_bits_for(250, 15), 9);
  EXPECT_EQ(Compression::window_bits_for(251, 15), 10);
  EXPECT_EQ(Compression::window_bits_for(3834, 15), 12);
  EXPECT_EQ(Compression::window_bits_for(3835, 15), 13);
  EXPECT_EQ(Compression::window_bits_for(3835, 12), 12);
  EXPECT_EQ(Compression::window_bits_for(std::size_t{1} << 40U, 15), 15);
}

// A frame that all subscribers get was compressed without any context. The peer's window has it,
// ours does not, so ours begins anew.
TEST(DedicatedCompression, AForeignMessageEndsTheContext) {
  End sender(Role::kServer, {true, 12}, {true, 12});
  End ear = listener({true, 12});
  Compression other({});
  for (std::size_t i = 0; i < 10; ++i) {
    const Bytes own = json_text(2000, i % 2);
    EXPECT_EQ(ear.hear(sender.say(Opcode::kText, own)).at(0).payload, own);
    const Bytes foreign = json_text(3000, 7 + i % 2);
    EXPECT_EQ(ear.hear(frame(Opcode::kText, other.deflate(foreign, 12), true, true)).at(0).payload,
              foreign);
    sender.sender().forget_context();
  }
}

}  // namespace
}  // namespace epulse::ws
