#pragma once

#include <cstdint>

namespace epulse::server {

// What an error of accept(2) says about the next attempt.
enum class AcceptVerdict : std::uint8_t {
  kNobody,   // nobody is waiting
  kNext,     // this one failed; the next may be right
  kBackOff,  // the next would fail, too, for as long as nothing else changes
};

AcceptVerdict judge_accept_error(int code);

// The time in which nothing is accepted, after an error that asks for it.
class AcceptPause {
 public:
  // Says why, at most once a second.
  void begin(int code, std::uint64_t now_ns);
  bool active() const { return until_ns_ != 0; }
  // Ends it if it is time; whether it was.
  bool end_if_due(std::uint64_t now_ns);

 private:
  std::uint64_t until_ns_ = 0;
  std::uint64_t logged_ns_ = 0;
};

}  // namespace epulse::server
