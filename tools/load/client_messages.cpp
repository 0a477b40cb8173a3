// What a client sends, and what becomes of the answers.
#include <algorithm>

#include "tools/load/client.hpp"
#include "tools/load/clock.hpp"
#include "tools/load/one_writer.hpp"
#include "tools/load/payload.hpp"

namespace epulse::load {

// Answers.

EchoFrames Client::frames(const ClientContext& context) const {
  return {index_, context.options.sizes, context.options.compression};
}

// The usual case: the answers that are due, whole in the input and right to the last byte, and as
// many messages in their place. Anything else is left for the parser to judge. Whether there was
// any.
bool Client::take_answers(std::span<std::uint8_t>& input, ClientContext& context) {
  if (!context.counting || subscriber_ || context.target.raw || !parser_.between_messages()) {
    return false;
  }
  const std::uint32_t count = frames(context).take(input, next_answer_, in_flight_.size());
  if (count == 0) return false;
  answered(count, context);
  return true;
}

void Client::answered(std::uint32_t count, ClientContext& context) {
  in_flight_.take(count, [&](const Awaited& run) {
    count_answer(run, context);
    record(run, context.now_ns, context);
    next_answer_ += run.count;
  });
  send_next(count, context);
}

// Closed loop: in place of those that were answered.
void Client::send_next(std::uint32_t count, ClientContext& context) {
  if (context.now_ns >= context.send_until_ns) return;
  const std::uint32_t pipeline = context.options.pipeline;
  if (pipeline != 1) count = in_flight_.empty() ? pipeline : 0;
  add_messages(context.now_ns, count, context);
}

void Client::check_answer(const ws::Event& event, ClientContext& context) {
  if (!context.counting) return;
  if (in_flight_.empty()) {
    return context.counters.at(context.now_ns).error(ErrorKind::kUninvited);
  }
  const bool right = event.opcode == ws::Opcode::kBinary &&
                     event.payload.size() == context.options.sizes.bytes(index_, next_answer_) &&
                     is_payload(event.payload, index_, next_answer_, context.options.compression);
  if (right) return answered(1, context);
  in_flight_.take(
      1, [&](const Awaited& run) { context.counters.at(run.due_ns).error(ErrorKind::kWrongEcho); });
  ++next_answer_;
  send_next(1, context);
}

void Client::take_delivery(const ws::Event& event, ClientContext& context) {
  if (!context.counting) return;
  const std::uint32_t bytes = context.options.sizes.max();  // All have that.
  if (event.opcode != ws::Opcode::kBinary || event.payload.size() != bytes) {
    return context.counters.first().error(ErrorKind::kWrongEcho);
  }
  subscriber_->take(event.payload, context.now_ns, context.options.compression,
                    context.counters.first());
}

void Client::abandon_answers(ClientContext& context) {
  context.now_ns = clock_ns();
  if (publication_ != nullptr) publication_->abandon(context.now_ns, context.counters.first());
  in_flight_.for_each([&](const Awaited& run) {
    count_latency(run, context);
    context.counters.at(run.due_ns).error(ErrorKind::kTimeout, run.count);
  });
  record_unanswered(context);
  in_flight_.clear();
}

void Client::count_answer(const Awaited& run, ClientContext& context) {
  add_to(context.counters.at(run.due_ns).received, run.count);
  count_latency(run, context);
}

void Client::count_latency(const Awaited& run, ClientContext& context) {
  const std::uint64_t now = context.now_ns;
  context.counters.at(run.due_ns)
      .latency.record(now > run.due_ns ? now - run.due_ns : 0, run.count);
}

// The messages of a run from the next that is to be answered on.
void Client::record(const Awaited& run, std::uint64_t received_ns, ClientContext& context) const {
  if (context.recording == nullptr) return;
  for (std::uint32_t k = 0; k < run.count; ++k) {
    context.recording->sample.add({run.due_ns, run.sent_ns, received_ns, index_,
                                   static_cast<std::uint32_t>(next_answer_ + k)});
  }
}

void Client::record_unanswered(ClientContext& context) {
  in_flight_.for_each([&](const Awaited& run) {
    record(run, 0, context);
    next_answer_ += run.count;
  });
}

// Sending.

void Client::send_messages(std::uint64_t due_ns, std::uint32_t count, ClientContext& context) {
  add_messages(due_ns, count, context);
  flush(context);
}

void Client::add_messages(std::uint64_t due_ns, std::uint32_t count, ClientContext& context) {
  if (state_ != State::kOpen) return;
  const std::size_t under_way =
      publication_ != nullptr ? publication_->in_flight() : in_flight_.size();
  const std::size_t room = context.max_in_flight - std::min(context.max_in_flight, under_way);
  const bool stuck = context.engine->blocked(conn_) &&
                     context.engine->queued_bytes(conn_) > context.max_unsent_bytes;
  const auto taken = static_cast<std::uint32_t>(stuck ? 0 : std::min<std::size_t>(count, room));
  Counters& counters = context.counters.at(due_ns);
  if (taken < count) counters.error(ErrorKind::kTimeout, count - taken);
  add_to(counters.sent, taken);
  if (publication_ != nullptr) return publish(due_ns, taken, context);
  in_flight_.add({due_ns, context.recording != nullptr ? clock_ns() : 0, taken});
  const std::uint64_t first = next_sequence_;
  next_sequence_ += taken;
  if (sender_.window_bits() == 0) {
    return frames(context).append(context.output, first, taken, context.random);
  }
  for (std::uint64_t sequence = first; sequence < next_sequence_; ++sequence) {
    context.message.resize(context.options.sizes.bytes(index_, sequence));
    fill_payload(context.message, index_, sequence, context.options.compression);
    encode(context);
  }
}

void Client::publish(std::uint64_t due_ns, std::uint32_t count, ClientContext& context) {
  context.message.resize(context.options.sizes.max());
  for (std::uint32_t k = 0; k < count; ++k) {
    publication_->compose(context.message, due_ns);
    encode(context);
  }
}

// The message that the context holds, compressed if that was agreed on.
void Client::encode(ClientContext& context) {
  const ws::DeflateSender::Payload encoded = sender_.encode(context.message);
  const ws::MaskKey mask = context.random_mask();
  const ws::Opcode opcode = ws::Opcode::kBinary;
  write(ws::encode_header({opcode, encoded.bytes.size(), true, mask, encoded.compressed}).view(),
        context);
  const std::size_t start = context.output.size();
  write(encoded.bytes, context);
  ws::apply_mask(std::span(context.output).subspan(start), mask);
}

}  // namespace epulse::load
