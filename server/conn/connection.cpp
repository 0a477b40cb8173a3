#include "server/conn/connection.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "server/ws/text.hpp"

namespace epulse::server {
namespace {

void send_part(Engine& engine, ConnId id, Part part) {
  engine.send(id, {&part, 1});
}

}  // namespace

void Connection::receive(std::span<std::uint8_t> input, Engine& engine, Application& application) {
  if (phase_ == Phase::kHandshake) return shake_hands(input, engine, application);
  if (unread_) {
    unread_->insert(unread_->end(), input.begin(), input.end());
    return;
  }
  read_frames(input, engine, application);
}

void Connection::shake_hands(std::span<std::uint8_t> input, Engine& engine,
                             Application& application) {
  if (!unread_) {
    const std::size_t used = answer(ws::text_of(input), engine, application);
    if (used != 0) return read_frames(input.subspan(used), engine, application);
    unread_ = std::make_unique<Bytes>(input.begin(), input.end());
    return;
  }
  // The head ends in this input, so what follows it stays in the input.
  std::unique_ptr<Bytes> request = std::move(unread_);
  const std::size_t before = request->size();
  const auto more = input.first(std::min(input.size(), std::size_t{8192}));
  request->insert(request->end(), more.begin(), more.end());
  const std::size_t used = answer(ws::text_of(*request), engine, application);
  if (used == 0) {
    unread_ = std::move(request);
    return;
  }
  read_frames(input.subspan(std::min(used - before, input.size())), engine, application);
}

// Bytes of the request that was answered, 0 when it is not complete.
std::size_t Connection::answer(std::string_view buffer, Engine& engine, Application& application) {
  const ws::RequestHead head = ws::parse_request(buffer);
  if (head.size == 0) return 0;
  const int status = head.status != 0 ? head.status : ws::check_upgrade(head.request);
  const Application::Answer verdict = application.on_request(*this, head.request, status);
  if (verdict.status == 101) {
    phase_ = Phase::kOpen;
    const ws::UpgradeResponse response =
        ws::upgrade_response(head.request.key, agree(head.request, verdict));
    send_part(engine, id_, response.view());
    application.on_open(*this, head.request);
  } else {
    send_part(engine, id_, ws::bytes_of(ws::http_response(verdict.status, verdict.body)));
    finish(engine);
  }
  return head.size;
}

ws::Agreement Connection::agree(const ws::Request& request, const Application::Answer& answer) {
  ws::Agreement agreed{answer.subprotocol, {}};
  if (answer.compression == nullptr) return agreed;
  agreed.deflate = ws::answer_offers(request.extensions, answer.compression->policy());
  if (!agreed.deflate) return agreed;
  sender_ = ws::DeflateSender(*answer.compression, ws::server_side(*agreed.deflate));
  parser_.expect_deflate(answer.compression->inflaters(), ws::client_side(*agreed.deflate));
  return agreed;
}

void Connection::read_frames(std::span<std::uint8_t> input, Engine& engine,
                             Application& application) {
  while (true) {
    input = read_short_messages(input, application);
    if (input.empty() && parser_.at_rest()) return;
    if (phase_ != Phase::kOpen && phase_ != Phase::kClosing) return;
    const ws::Event event = parser_.next_of_any(input);
    if (event.kind == ws::Event::Kind::kNeedMore) return;
    if (event.kind == ws::Event::Kind::kPaused) {
      unread_ = parser_.pool().lend_bytes();
      unread_->assign(input.begin(), input.end());
      return;
    }
    if (event.kind != ws::Event::Kind::kMessage) {
      handle(event, engine, application);
    } else if (phase_ == Phase::kOpen) {
      application.on_message(*this, event.opcode, event.payload);
    }
  }
}

// Answers what follows them.
std::span<std::uint8_t> Connection::read_short_messages(std::span<std::uint8_t> input,
                                                        Application& application) {
  while (phase_ == Phase::kOpen) {
    const auto message = parser_.next_short(input);
    if (!message) break;
    application.on_message(*this, message->opcode, message->payload);
  }
  return input;
}

void Connection::handle(const ws::Event& event, Engine& engine, Application& application) {
  switch (event.kind) {
    case ws::Event::Kind::kPing:
      // 5.5.2: not after a close frame.
      if (phase_ == Phase::kOpen) {
        send_part(engine, id_, ws::encode_control(ws::Opcode::kPong, event.payload).view());
      }
      return;
    case ws::Event::Kind::kClose:
      // 5.5.1: the answer has the code of the question. Then the server ends the stream first
      // (7.1.1).
      application.on_ending(*this, false);
      if (phase_ == Phase::kOpen) say_close(event.code, {}, engine);
      return finish(engine);
    case ws::Event::Kind::kViolation:
      application.on_ending(*this, true);
      if (phase_ == Phase::kOpen) say_close(event.code, event.reason, engine);
      return finish(engine);
    case ws::Event::Kind::kPong:
    case ws::Event::Kind::kMessage:
    case ws::Event::Kind::kNeedMore:
    case ws::Event::Kind::kPaused:
      return;
  }
}

void Connection::send_any(ws::Opcode opcode, std::span<const std::uint8_t> payload,
                          Engine& engine) {
  const ws::DeflateSender::Payload encoded = sender_.encode(payload);
  if (ws::is_short(encoded.bytes)) {
    if (std::uint8_t* const at = engine.room(id_, ws::kShortHeaderBytes + encoded.bytes.size())) {
      return ws::write_short_frame(at, opcode, encoded.compressed, encoded.bytes);
    }
  }
  const ws::HeaderBytes header =
      ws::encode_header({opcode, encoded.bytes.size(), true, {}, encoded.compressed});
  const std::array<Part, 2> parts = {header.view(), encoded.bytes};
  engine.send(id_, parts);
}

void Connection::ping(Engine& engine) {
  if (phase_ != Phase::kOpen) return;
  send_part(engine, id_, ws::encode_control(ws::Opcode::kPing, {}).view());
}

void Connection::close(ws::CloseCode code, std::string_view reason, Engine& engine) {
  if (phase_ != Phase::kOpen) return;
  say_close(code, reason, engine);
  phase_ = Phase::kClosing;
}

void Connection::fail(ws::CloseCode code, std::string_view reason, Engine& engine) {
  if (phase_ == Phase::kOpen) say_close(code, reason, engine);
  finish(engine);
}

void Connection::say_close(ws::CloseCode code, std::string_view reason, Engine& engine) {
  close_code_ = code;
  send_part(engine, id_, ws::encode_close(code, reason).view());
}

void Connection::lose() {
  phase_ = Phase::kFinished;
}

void Connection::drop(Engine& engine) {
  phase_ = Phase::kFinished;
  engine.abort(id_);
}

// Half a message may be there: nobody will send the rest.
void Connection::finish(Engine& engine) {
  phase_ = Phase::kFinished;
  parser_.abandon();
  unread_.reset();
  engine.finish(id_);
}

}  // namespace epulse::server
