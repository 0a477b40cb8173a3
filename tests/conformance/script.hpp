#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tests/conformance/wire.hpp"

// What is said to an endpoint, in which pieces, and what it must answer.
namespace epulse::conformance {

// How the bytes of frames are written: each piece is read on its own.
struct Pieces {
  enum class Cut { kNone, kFrames, kOctets };
  Cut cut = Cut::kNone;
  std::size_t octets = 0;
};
constexpr Pieces kAtOnce = {};
constexpr Pieces kFrameByFrame = {Pieces::Cut::kFrames, 0};
constexpr Pieces in_octets(std::size_t octets) {
  return {Pieces::Cut::kOctets, octets};
}

// The endpoint under test, seen from its peer. It echoes messages.
class Endpoint {
 public:
  virtual ~Endpoint() = default;
  virtual Role role() const = 0;
  virtual void send(Bytes bytes) = 0;
  // Returns when the endpoint has read what was sent, and done what it does about it.
  virtual void settle() = 0;
  // The next frame that it sends; nothing when it has ended the connection or has nothing to say in
  // time.
  virtual std::optional<Frame> receive() = 0;
  // Whether it says nothing, now.
  virtual bool is_quiet() = 0;
  // That it ends the connection after its close frame as it should.
  virtual void expect_clean_end() = 0;
};

class Script {
 public:
  Script& send(std::vector<Frame> frames, Pieces pieces = kAtOnce);
  // The next thing that it says is this.
  Script& expect(const Frame& answer);
  // It has read all of it, and has nothing to say yet.
  Script& quiet();
  // The next thing that it says is a close frame with this code; then it ends the connection.
  Script& closes(int code);
  // We close with 1000, and it answers so.
  Script& ends();

  // Stops at the first difference, which fails the running test.
  void run(Endpoint& endpoint) const;

 private:
  std::vector<std::function<void(Endpoint&)>> steps_;
};

// A message that is echoed; then a clean close.
Script echo(const Frame& message, Pieces pieces = kAtOnce);

// A script with a name. It is made when it is run, as some are large.
struct Case {
  std::string name;
  std::function<Script()> script;
};
inline void PrintTo(const Case& conformance_case, std::ostream* out) {
  *out << conformance_case.name;
}

}  // namespace epulse::conformance
