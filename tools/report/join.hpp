#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string_view>
#include <vector>

#include "tools/report/deliveries.hpp"
#include "tools/report/load_record.hpp"

// Where the time of a client's messages went: each message of a load is laid beside the epoll_wait
// that delivered it to the server. Pure; docs/join.md says how, and how exact.
namespace epulse::report {

enum JoinStage : size_t {
  kJoinToSend,         // due to sent: the client was late
  kJoinNetwork,        // sent to ready on the server's ready list
  kJoinQueue,          // ready, while the worker was in the handlers of other events
  kJoinReadyToWoken,   // ready, the worker asleep
  kJoinRunQueue,       // woken, without a CPU
  kJoinDelivery,       // the kernel's part of epoll_wait
  kJoinHandler,        // delivered, until the worker waits again or the answer has come
  kJoinNetworkClient,  // after that, until the client has received it
  kJoinStages,
};
inline constexpr std::array<std::string_view, kJoinStages> kJoinStageNames{
    "to send",   "network",  "queue",   "ready to woken",
    "run queue", "delivery", "handler", "network and client"};

struct Attribution {
  std::array<uint64_t, kJoinStages> ns{};  // their sum is the message's latency
  uint32_t tid = 0;                        // of the worker
};

// `deliveries`: of the instance that watches the message's connection, by time. Nothing when none
// can have been this message's. `handlers`: of all instances.
std::optional<Attribution> attribute(const LoadMessage& message,
                                     std::span<const Delivery> deliveries,
                                     const HandlerTimes& handlers);

// Some messages, and what they have on average.
struct JoinPart {
  uint64_t messages = 0;
  uint64_t latency_ns = 0;  // sum
  std::array<uint64_t, kJoinStages> ns{};
  void add(const LoadMessage& message, const Attribution& attribution);
  double share(size_t stage) const;
  JoinStage largest() const;
};

// The messages at and above a quantile of the latency.
struct JoinGroup {
  std::string_view name;  // "all" "p99" "p99.9"
  uint64_t from_ns = 0;   // the quantile
  JoinPart all;
  std::map<uint32_t, JoinPart> workers;  // by tid
};

struct Join {
  std::vector<JoinGroup> groups;
  uint64_t attributed = 0;
  uint64_t unanswered = 0;
  uint64_t of_unknown_connections = 0;  // no instance was seen to watch them
  uint64_t without_delivery = 0;
  // So many that the rest need not be what it seems.
  bool lacks_many() const { return of_unknown_connections + without_delivery > attributed / 100; }
};

// The connections that one wants to know of.
std::set<Ends> ends_of(const LoadRecord& load);

Join join(const LoadRecord& load, const Deliveries& deliveries);

}  // namespace epulse::report
