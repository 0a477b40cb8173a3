#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "server/ws/frame.hpp"
#include "server/ws/inflate_pool.hpp"
#include "server/ws/mask.hpp"
#include "server/ws/utf8.hpp"

namespace epulse::ws {

// Which end of the connection we are; it decides who must mask (RFC 6455, 5.1).
enum class Role : std::uint8_t { kServer, kClient };

struct Event {
  enum class Kind : std::uint8_t {
    kNeedMore,   // all input is consumed
    kPaused,     // inflated all that its pool allows for now; to go on with the rest of the input
    kMessage,    // a whole text or binary message
    kPing,       // to be answered with a pong of the same payload
    kPong,       //
    kClose,      // the peer closes; `code` and `reason` are its own
    kViolation,  // the connection must be failed with `code`; `reason` says why
  };
  Kind kind = Kind::kNeedMore;
  Opcode opcode = Opcode::kText;
  std::span<std::uint8_t> payload;  // unmasked; good until the next call, of any parser of its pool
  CloseCode code = CloseCode::kNoStatus;
  std::string_view reason;
};

// So that its sizes fit 32 bits, compressed or not.
constexpr std::uint32_t kMaxMessageBytes = std::uint32_t{1} << 31U;

// Turns received bytes into messages. A message that lies whole in the input is unmasked in place
// and handed out from there; only one that spans reads or fragments is gathered, in a buffer that
// is freed as soon as it has been handed out. Call next() until it answers kNeedMore, or kPaused.
//
// A compressed message (RFC 7692) is inflated as it arrives and lies in the pool's buffer when it
// came whole, and without a pause. One that is no DEFLATE, or ends inside a block, is answered
// 1007, as a payload that is not what it says to be (RFC 6455, 7.4.1): RFC 7692 names no code and
// Autobahn tests none.
class Parser {
 public:
  // `max_message_bytes`: at most kMaxMessageBytes.
  Parser(Role role, std::uint32_t max_message_bytes)
      : max_message_bytes_(max_message_bytes), role_(role) {}

  // Compressed messages are taken from now on. `pool` has to outlive the parser and belongs to its
  // thread; `peer` says what the other end keeps to.
  void expect_deflate(InflatePool& pool, const DeflateSide& peer);

  // Consumes from the front of `input`. After kClose or kViolation nothing more is read.
  Event next(std::span<std::uint8_t>& input) {
    if (const auto message = next_short(input)) {
      return {Event::Kind::kMessage, message->opcode, message->payload, CloseCode::kNoStatus, {}};
    }
    return next_of_any(input);
  }

  // The two halves of next(), for whom each nanosecond counts. Nearly always what comes is a whole
  // message in one short frame, not compressed; when it is not, nothing is consumed, and
  // next_of_any() has to take it.
  struct ShortMessage {
    Opcode opcode;
    std::span<std::uint8_t> payload;
  };
  std::optional<ShortMessage> next_short(std::span<std::uint8_t>& input);
  Event next_of_any(std::span<std::uint8_t>& input);

  // From the next message on; between two.
  void set_max_message_bytes(std::uint32_t bytes) { max_message_bytes_ = bytes; }

  // Whether the next byte is the first of a message, and would be read. Who knows by other means
  // what follows may then consume whole messages himself.
  bool between_messages() const {
    return end_ == Event::Kind::kNeedMore && !in_frame_ && !in_message_ && header_read_ == 0;
  }

  // Between messages, with nothing handed out: until there is input, next() has nothing to do.
  bool at_rest() const { return at_rest_; }

  // Reads nothing more, and lets go of what was gathered.
  void abandon();

  // Heap held for a message or control frame that has not wholly arrived.
  std::size_t gathered_bytes() const { return gathered_ ? gathered_->capacity() : 0; }

  // As expect_deflate() was told.
  InflatePool& pool() { return *pool_; }

 private:
  Event next_step(std::span<std::uint8_t>& input);
  Event read_frames(std::span<std::uint8_t>& input);
  Event end_with(const Event& event);
  bool fill_header(std::span<std::uint8_t>& input, std::size_t wanted);
  std::optional<Event> read_header(std::span<std::uint8_t>& input);
  std::optional<Event> check_start() const;
  std::optional<Event> decode_header();
  std::optional<Event> read_data(std::span<std::uint8_t>& input);
  std::optional<Event> read_compressed(std::span<std::uint8_t>& input);
  bool may_be_compressed() const;
  std::uint64_t frame_bytes_max() const;
  std::optional<Event> read_control(std::span<std::uint8_t>& input);
  Event finish_message(std::span<std::uint8_t> payload);
  Event control_event(std::span<std::uint8_t> payload) const;
  std::span<std::uint8_t> take(std::span<std::uint8_t>& input);
  void give_back(std::span<std::uint8_t>& input, std::size_t bytes);
  void release_delivered();
  std::uint32_t message_gathered() const { return gathered_ ? gathered_of_message_ : 0; }
  std::vector<std::uint8_t>& gather(std::span<const std::uint8_t> chunk);
  void gather_message(std::span<const std::uint8_t> chunk);

  // Of the message so far, then of the control frame being read.
  std::unique_ptr<std::vector<std::uint8_t>> gathered_;
  InflatePool* pool_ = nullptr;    // set: permessage-deflate was agreed on
  InflatePool::LoanPtr inflater_;  // during a compressed message or, with context, from one on
  std::uint32_t max_message_bytes_;
  std::uint32_t frame_bytes_ = 0;          // payload of the current frame
  std::uint32_t frame_read_ = 0;           // of which consumed
  std::uint32_t message_bytes_ = 0;        // of earlier fragments and of the current data frame
  std::uint32_t gathered_of_message_ = 0;  // so many of those gathered are the message's
  CloseCode end_code_ = CloseCode::kNoStatus;
  Event::Kind end_ = Event::Kind::kNeedMore;  // the last event, if it was a close or a violation
  std::array<std::uint8_t, kMaxHeaderBytes> header_{};
  MaskKey mask_{};
  Utf8Validator utf8_;  // between messages it is as new: one ended, or none went on
  DeflateSide peer_;
  std::uint8_t header_read_ = 0;
  Role role_;
  Opcode frame_opcode_ = Opcode::kText;
  Opcode message_opcode_ = Opcode::kText;
  bool fin_ : 1 = false;
  bool in_frame_ : 1 = false;
  bool in_message_ : 1 = false;  // a message was begun and its last frame has not been seen
  bool compressed_ : 1 = false;  // that message, or the last one
  bool delivered_ : 1 = false;   // gathered_ was handed out by the last call
  bool at_rest_ = true;
};

inline std::optional<Parser::ShortMessage> Parser::next_short(std::span<std::uint8_t>& input) {
  constexpr unsigned kWholeText = 0x80U | static_cast<unsigned>(Opcode::kText);
  constexpr unsigned kWholeBinary = 0x80U | static_cast<unsigned>(Opcode::kBinary);
  if (!at_rest_ || input.size() < 2) return std::nullopt;
  if (input[0] != kWholeText && input[0] != kWholeBinary) return std::nullopt;
  const bool masked = role_ == Role::kServer;
  const unsigned length = input[1] ^ (masked ? 0x80U : 0U);
  const std::size_t before = masked ? 2 + sizeof(MaskKey) : 2;
  if (length > 125 || length > max_message_bytes_) return std::nullopt;
  if (before + length > input.size()) return std::nullopt;
  const std::span<std::uint8_t> payload = input.subspan(before, length);
  std::uint32_t key = 0;
  if (masked) std::memcpy(&key, &input[2], sizeof key);
  mask_short(payload.data(), payload.data(), length, key);
  if (input[0] == kWholeText && !is_utf8(payload)) {
    mask_short(payload.data(), payload.data(), length, key);  // As it was, for next_of_any().
    return std::nullopt;
  }
  const auto opcode = static_cast<Opcode>(input[0] & 0x0FU);
  input = input.subspan(before + length);
  return ShortMessage{opcode, payload};
}

}  // namespace epulse::ws
