#include "server/ws/parser.hpp"

#include <algorithm>
#include <utility>

namespace epulse::ws {
namespace {

constexpr unsigned kFinBit = 0x80;
constexpr unsigned kReservedBits = 0x70;   // none is ours until an extension is negotiated (5.2)
constexpr unsigned kCompressedBit = 0x40;  // RSV1: RFC 7692, 6
constexpr unsigned kMaskBit = 0x80;

Event violation(CloseCode code, std::string_view reason) {
  return {Event::Kind::kViolation, Opcode::kClose, {}, code, reason};
}

Event broken(std::string_view reason) {
  return violation(CloseCode::kProtocolError, reason);
}

Event not_utf8() {
  return violation(CloseCode::kInvalidPayload, "text is not UTF-8");
}

Event cut_short() {
  return violation(CloseCode::kInvalidPayload, "text ends inside a character");
}

bool is_known(unsigned opcode) {
  return opcode <= 2 || (opcode >= 8 && opcode <= 10);
}

std::size_t length_bytes(unsigned short_length) {
  if (short_length == 126) return 2;
  return short_length == 127 ? 8 : 0;
}

}  // namespace

void Parser::expect_deflate(InflatePool& pool, const DeflateSide& peer) {
  pool_ = &pool;
  peer_ = peer;
}

Event Parser::next_of_any(std::span<std::uint8_t>& input) {
  const Event event = next_step(input);
  at_rest_ = between_messages() && !delivered_;
  return event;
}

Event Parser::next_step(std::span<std::uint8_t>& input) {
  if (end_ != Event::Kind::kNeedMore) return {end_, Opcode::kClose, {}, end_code_, {}};
  if (delivered_) release_delivered();
  return read_frames(input);
}

Event Parser::read_frames(std::span<std::uint8_t>& input) {
  while (true) {
    std::optional<Event> event;
    if (!in_frame_) event = read_header(input);
    if (!event) event = is_control(frame_opcode_) ? read_control(input) : read_data(input);
    if (!event) continue;  // A fragment ended; its message goes on in the next frame.
    const bool ends = event->kind == Event::Kind::kClose || event->kind == Event::Kind::kViolation;
    return ends ? end_with(*event) : *event;
  }
}

Event Parser::end_with(const Event& event) {
  end_ = event.kind;
  end_code_ = event.code;
  at_rest_ = false;
  inflater_.reset();
  if (end_ == Event::Kind::kViolation) gathered_.reset();
  return event;
}

void Parser::abandon() {
  end_with(violation(CloseCode::kNoStatus, {}));
}

void Parser::release_delivered() {
  delivered_ = false;
  if (in_message_) {
    gathered_->resize(gathered_of_message_);
  } else if (pool_ != nullptr) {
    pool_->give_back(std::move(gathered_));
  } else {
    gathered_.reset();
  }
}

std::vector<std::uint8_t>& Parser::gather(std::span<const std::uint8_t> chunk) {
  if (!gathered_) {
    gathered_ =
        pool_ != nullptr ? pool_->lend_bytes() : std::make_unique<std::vector<std::uint8_t>>();
    gathered_of_message_ = 0;
  }
  gathered_->insert(gathered_->end(), chunk.begin(), chunk.end());
  return *gathered_;
}

void Parser::gather_message(std::span<const std::uint8_t> chunk) {
  if (chunk.empty()) return;
  const std::size_t size = gather(chunk).size();
  gathered_of_message_ = static_cast<std::uint32_t>(size);
}

bool Parser::fill_header(std::span<std::uint8_t>& input, std::size_t wanted) {
  const std::size_t n =
      std::min(wanted - std::min<std::size_t>(wanted, header_read_), input.size());
  std::copy_n(input.begin(), n, header_.begin() + header_read_);
  header_read_ = static_cast<std::uint8_t>(header_read_ + n);
  input = input.subspan(n);
  return header_read_ >= wanted;
}

std::optional<Event> Parser::read_header(std::span<std::uint8_t>& input) {
  if (!fill_header(input, 2)) return Event{};
  if (const auto wrong = check_start()) return wrong;
  const unsigned short_length = header_[1] & ~kMaskBit;
  const std::size_t mask_bytes = role_ == Role::kServer ? 4 : 0;
  if (!fill_header(input, 2 + length_bytes(short_length) + mask_bytes)) return Event{};
  return decode_header();
}

// What the first two bytes can already tell.
std::optional<Event> Parser::check_start() const {
  if ((header_[0] & kReservedBits) != 0 && !may_be_compressed()) return broken("reserved bit set");
  const unsigned code = header_[0] & 0x0FU;
  if (!is_known(code)) return broken("reserved opcode");
  const auto opcode = static_cast<Opcode>(code);
  const bool fin = (header_[0] & kFinBit) != 0;
  const bool masked = (header_[1] & kMaskBit) != 0;
  if (masked && role_ == Role::kClient) return broken("masked frame from a server");
  if (!masked && role_ == Role::kServer) return broken("frame from a client is not masked");
  if (is_control(opcode)) {
    if (!fin) return broken("fragmented control frame");
    if ((header_[1] & ~kMaskBit) > kMaxControlPayload) return broken("control frame too long");
    return std::nullopt;
  }
  if (opcode == Opcode::kContinuation && !in_message_) return broken("nothing to continue");
  if (opcode != Opcode::kContinuation && in_message_) return broken("message inside a message");
  return std::nullopt;
}

// Whether the reserved bits of a header are RSV1 alone, where it has a meaning (RFC 7692, 6): on
// the first frame of a data message.
bool Parser::may_be_compressed() const {
  const auto opcode = static_cast<Opcode>(header_[0] & 0x0FU);
  return pool_ != nullptr && (header_[0] & kReservedBits) == kCompressedBit &&
         opcode != Opcode::kContinuation && !is_control(opcode);
}

// What DEFLATE adds to data that it cannot compress is less than the quarter and KiB allowed for
// it; what the message inflates to has its own check.
std::uint64_t Parser::frame_bytes_max() const {
  const std::uint64_t max = max_message_bytes_;
  return max + (compressed_ ? max / 4 + 1024 : 0);
}

std::optional<Event> Parser::decode_header() {
  const unsigned short_length = header_[1] & ~kMaskBit;
  const std::size_t extra = length_bytes(short_length);
  std::uint64_t length = short_length;
  if (extra > 0) {
    length = 0;
    for (std::size_t i = 0; i < extra; ++i) length = length << 8U | header_[2 + i];
    if (length >> 63U != 0) return broken("frame length above 2^63");
    if (length < 126 || (extra == 8 && length <= 0xFFFF)) return broken("length not minimal");
  }
  frame_opcode_ = static_cast<Opcode>(header_[0] & 0x0FU);
  fin_ = (header_[0] & kFinBit) != 0;
  if (role_ == Role::kServer) std::copy_n(header_.begin() + 2 + extra, 4, mask_.begin());
  frame_read_ = 0;
  header_read_ = 0;
  in_frame_ = true;
  if (is_control(frame_opcode_)) {
    frame_bytes_ = short_length;
    return std::nullopt;
  }
  if (frame_opcode_ != Opcode::kContinuation) {
    message_opcode_ = frame_opcode_;
    in_message_ = true;
    compressed_ = (header_[0] & kCompressedBit) != 0;
  }
  if (length > frame_bytes_max() - message_bytes_) {
    return violation(CloseCode::kTooBig, "message too big");
  }
  frame_bytes_ = static_cast<std::uint32_t>(length);
  message_bytes_ += frame_bytes_;
  return std::nullopt;
}

// The part of the current frame's payload that is in the input, unmasked.
std::span<std::uint8_t> Parser::take(std::span<std::uint8_t>& input) {
  const auto n =
      static_cast<std::uint32_t>(std::min<std::size_t>(frame_bytes_ - frame_read_, input.size()));
  const auto chunk = input.first(n);
  input = input.subspan(n);
  if (role_ == Role::kServer) apply_mask(chunk, mask_, frame_read_);
  frame_read_ += n;
  return chunk;
}

// The end of what was taken last, as it was before.
void Parser::give_back(std::span<std::uint8_t>& input, std::size_t bytes) {
  frame_read_ -= static_cast<std::uint32_t>(bytes);
  input = {input.data() - bytes, input.size() + bytes};
  if (role_ == Role::kServer) apply_mask(input.first(bytes), mask_, frame_read_);
}

std::optional<Event> Parser::read_data(std::span<std::uint8_t>& input) {
  if (compressed_) return read_compressed(input);
  const bool starts_here = frame_read_ == 0 && message_bytes_ == frame_bytes_;
  const auto chunk = take(input);
  if (message_opcode_ == Opcode::kText && !utf8_.feed(chunk)) {
    return not_utf8();
  }
  const bool frame_done = frame_read_ == frame_bytes_;
  if (starts_here && frame_done && fin_ && message_gathered() == 0) return finish_message(chunk);

  gather_message(chunk);
  if (!frame_done) return Event{};
  in_frame_ = false;
  if (!fin_) return std::nullopt;
  delivered_ = true;
  return finish_message(*gathered_);
}

std::optional<Event> Parser::read_compressed(std::span<std::uint8_t>& input) {
  const auto chunk = take(input);
  const bool frame_done = frame_read_ == frame_bytes_;
  const bool message_done = frame_done && fin_;
  if (!inflater_) inflater_ = pool_->lend(peer_);
  const InflatePool::Inflated inflated =
      pool_->inflate(*inflater_, chunk, message_done, max_message_bytes_ - message_gathered());
  // What came before a fault is looked at first, so that it is the same in pieces of any size.
  if (message_opcode_ == Opcode::kText && !utf8_.feed(inflated.bytes)) {
    return not_utf8();
  }
  if (inflated.status == InflatePool::Status::kTooBig) {
    return violation(CloseCode::kTooBig, "message inflates to too much");
  }
  if (inflated.status == InflatePool::Status::kCorrupt) {
    return violation(CloseCode::kInvalidPayload, "compressed message is corrupt");
  }
  const bool paused = inflated.status == InflatePool::Status::kPaused;
  if (message_done && !paused && message_gathered() == 0) {
    pool_->release(inflater_);
    return finish_message(inflated.bytes);
  }
  if (!pool_->hold(*inflater_, inflated.bytes.size())) {
    return violation(CloseCode::kTryAgainLater, "too many compressed messages under way");
  }
  gather_message(inflated.bytes);
  if (paused) {
    give_back(input, inflated.unread.size());
    return Event{Event::Kind::kPaused, message_opcode_, {}, CloseCode::kNoStatus, {}};
  }
  if (!frame_done) return Event{};
  in_frame_ = false;
  if (!fin_) return std::nullopt;
  delivered_ = true;
  pool_->release(inflater_);
  return finish_message(*gathered_);
}

Event Parser::finish_message(std::span<std::uint8_t> payload) {
  in_frame_ = false;
  in_message_ = false;
  message_bytes_ = 0;
  if (message_opcode_ == Opcode::kText && !utf8_.complete()) {
    return cut_short();
  }
  return {Event::Kind::kMessage, message_opcode_, payload, CloseCode::kNoStatus, {}};
}

std::optional<Event> Parser::read_control(std::span<std::uint8_t>& input) {
  const bool starts_here = frame_read_ == 0;
  const auto chunk = take(input);
  const bool frame_done = frame_read_ == frame_bytes_;
  if (frame_done) in_frame_ = false;
  if (starts_here && frame_done) return control_event(chunk);

  // Behind the message that it interrupts, if any: one buffer serves both.
  if (chunk.empty()) return Event{};
  std::vector<std::uint8_t>& bytes = gather(chunk);
  if (!frame_done) return Event{};
  delivered_ = true;
  return control_event(std::span(bytes).subspan(gathered_of_message_));
}

Event Parser::control_event(std::span<std::uint8_t> payload) const {
  if (frame_opcode_ == Opcode::kPing) {
    return {Event::Kind::kPing, Opcode::kPing, payload, CloseCode::kNoStatus, {}};
  }
  if (frame_opcode_ == Opcode::kPong) {
    return {Event::Kind::kPong, Opcode::kPong, payload, CloseCode::kNoStatus, {}};
  }
  Event close{Event::Kind::kClose, Opcode::kClose, payload, CloseCode::kNoStatus, {}};
  if (payload.empty()) return close;
  if (payload.size() == 1) return broken("close code cut short");
  const auto code = static_cast<std::uint16_t>(payload[0] << 8U | payload[1]);
  if (!may_be_sent(code)) return broken("close code not allowed");
  const auto reason = payload.subspan(2);
  Utf8Validator utf8;
  if (!utf8.feed(reason) || !utf8.complete()) {
    return violation(CloseCode::kInvalidPayload, "close reason is not UTF-8");
  }
  close.code = static_cast<CloseCode>(code);
  close.reason = {reinterpret_cast<const char*>(reason.data()), reason.size()};
  return close;
}

}  // namespace epulse::ws
