// Ring-buffer records: decoded, then as the daemon words them and as a recording keeps them.
#include <algorithm>
#include <cstring>

#include "agent/daemon/observations.hpp"
#include "agent/model/wait_record.hpp"
#include "tests/fuzz/recording.hpp"
#include "tests/fuzz/target.hpp"

namespace epulse::fuzz {
namespace {

// An input is a sequence of: length (one byte), that many bytes.
std::string framed(std::string_view bytes) {
  return static_cast<char>(bytes.size()) + std::string(bytes);
}

std::string_view take_framed(std::string_view& input) {
  const size_t length = std::min<size_t>(static_cast<uint8_t>(input[0]), input.size() - 1);
  const std::string_view bytes = input.substr(1, length);
  input.remove_prefix(1 + length);
  return bytes;
}

std::string bytes_of(const epoll_wait_record& wait) {
  return {reinterpret_cast<const char*>(&wait), sizeof(wait)};
}

void require_all(std::string_view input) {
  model::WaitDecoder decoder;
  Recording recording;
  uint64_t too_short = 0;
  while (!input.empty()) {
    const std::string_view bytes = take_framed(input);
    // On the heap in its own size, so that one byte too many is seen.
    const std::vector<char> exact(bytes.begin(), bytes.end());
    const auto wait = decoder.decode(exact.data(), exact.size());
    if (exact.size() < sizeof(epoll_wait_record)) ++too_short;
    require(decoder.malformed() == too_short, "each record that is too short is counted");
    if (!wait) continue;
    require(memcmp(&*wait, exact.data(), sizeof(*wait)) == 0, "a record decodes as it was sent");
    recording.waits.push_back(*wait);
  }

  model::SchedInterval sched;
  sched.threads.emplace_back().name = "ws-worker-1";
  if (!recording.waits.empty()) {
    sched.threads[0].tid = static_cast<pid_t>(recording.waits.back().tid);
  }
  const std::string text = daemon::exceptions_text(recording.waits, sched);
  const bool any = std::any_of(recording.waits.begin(), recording.waits.end(), [](const auto& w) {
    return (w.reasons & (EPOLL_WAIT_DEEP | EPOLL_WAIT_LATE)) != 0;
  });
  require(text.empty() != any, "the daemon has words for exceptions, and only for them");

  show(encoded(recording));
  require_round_trip(recording);
}

}  // namespace

std::vector<std::string> seeds() {
  const std::string whole = bytes_of(example_wait());
  return {framed(whole), framed(whole) + framed(whole + "later") + framed(""),
          framed(whole.substr(1)) + framed(whole)};
}

}  // namespace epulse::fuzz

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  epulse::fuzz::require_all(epulse::fuzz::text_of(data, size));
  return 0;
}
