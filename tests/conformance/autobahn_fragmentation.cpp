// Section 5: messages in fragments, and what comes between them.
#include "tests/conformance/autobahn.hpp"

namespace epulse::conformance {
namespace {

const Frame kFirst = more(text("fragment1"));
const Frame kLast = continuation("fragment2");
const Frame kWhole = text("fragment1fragment2");
const Frame kPing = ping("ping payload");
const Frame kStray = continuation("non-continuation payload");
const Frame kHello = text("Hello, world!");

Script fragmented_control(unsigned opcode) {
  return Script()
      .send({{.opcode = opcode, .payload = "fragment1", .fin = false}, kLast})
      .closes(1002);
}

Script in_two(Pieces pieces) {
  return Script().send({kFirst, kLast}, pieces).expect(kWhole).ends();
}

Script ping_between(Pieces pieces) {
  return Script()
      .send({kFirst, kPing, kLast}, pieces)
      .expect(pong(kPing.payload))
      .expect(kWhole)
      .ends();
}

Script nothing_to_continue(const Frame& stray, Pieces pieces) {
  return Script().send({stray, kHello}, pieces).closes(1002);
}

// Twice the same, of which the first frame is wrong already.
Script nothing_to_continue_twice(const Frame& stray) {
  const std::vector<Frame> message = {stray, more(text("fragment2")), continuation("fragment3")};
  return Script().send(message).send(message).closes(1002);
}

// The first ping is answered while the message is still on its way.
Script pings_between_five(Pieces pieces) {
  const auto part = [](int i) { return more(continuation("fragment" + std::to_string(i))); };
  return Script()
      .send({more(text("fragment1")), part(2), ping("pongme 1!")}, pieces)
      .expect(pong("pongme 1!"))
      .quiet()
      .send({part(3), part(4), ping("pongme 2!"), continuation("fragment5")}, pieces)
      .expect(pong("pongme 2!"))
      .expect(text("fragment1fragment2fragment3fragment4fragment5"))
      .ends();
}

}  // namespace

std::vector<Case> autobahn_fragmentation() {
  return {
      {"5_1", [] { return fragmented_control(9); }},
      {"5_2", [] { return fragmented_control(10); }},
      {"5_3", [] { return in_two(kAtOnce); }},
      {"5_4", [] { return in_two(kFrameByFrame); }},
      {"5_5", [] { return in_two(in_octets(1)); }},
      {"5_6", [] { return ping_between(kAtOnce); }},
      {"5_7", [] { return ping_between(kFrameByFrame); }},
      {"5_8", [] { return ping_between(in_octets(1)); }},
      {"5_9", [] { return nothing_to_continue(kStray, kAtOnce); }},
      {"5_10", [] { return nothing_to_continue(kStray, kFrameByFrame); }},
      {"5_11", [] { return nothing_to_continue(kStray, in_octets(1)); }},
      {"5_12", [] { return nothing_to_continue(more(kStray), kAtOnce); }},
      {"5_13", [] { return nothing_to_continue(more(kStray), kFrameByFrame); }},
      {"5_14", [] { return nothing_to_continue(more(kStray), in_octets(1)); }},
      {"5_15",
       [] {
         return Script()
             .send({kFirst, kLast, more(continuation("fragment3")), text("fragment4")})
             .expect(kWhole)
             .closes(1002);
       }},
      {"5_16", [] { return nothing_to_continue_twice(more(continuation("fragment1"))); }},
      {"5_17", [] { return nothing_to_continue_twice(continuation("fragment1")); }},
      {"5_18",
       [] {
         return Script().send({kFirst, text("fragment2")}).closes(1002);
       }},
      {"5_19", [] { return pings_between_five(kAtOnce); }},
      {"5_20", [] { return pings_between_five(kFrameByFrame); }},
  };
}

}  // namespace epulse::conformance
