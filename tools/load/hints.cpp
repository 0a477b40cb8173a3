#include "tools/load/hints.hpp"

#include <fmt/format.h>

#include "common/counted.hpp"

namespace epulse::load {

std::vector<std::string> hints(const Options& options, const Result& result) {
  std::vector<std::string> all;
  if (!options.broadcast) return all;
  const Totals& totals = result.totals;
  const auto errors = [&totals](ErrorKind kind) { return totals.errors[index_of(kind)]; };
  const std::uint64_t missing = errors(ErrorKind::kTimeout) + errors(ErrorKind::kLost);
  if (totals.sent > 0 && totals.received <= totals.sent && missing > 0) {
    all.push_back(
        fmt::format("{} published and {}, to {}: is {} a topic, of which the publishers get their "
                    "own messages, "
                    "too? Of epulse-ws it is /topic/NAME",
                    counted(totals.sent, "message"),
                    totals.received == 0 ? "none delivered" : counted(totals.received, "delivery"),
                    counted(totals.opened, "subscriber"), options.url));
  }
  if (const std::uint64_t closed = errors(ErrorKind::kClosed); closed > 0) {
    all.push_back(fmt::format(
        "the server closed {}: many drop a subscriber that has more to come than they keep for it "
        "(epulse-ws: --backlog-cap, --slow-subscriber); a lower --rate, --window or --size tells",
        counted(closed, "connection")));
  }
  return all;
}

}  // namespace epulse::load
