#include "agent/tuners/host_advice.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>

namespace epulse::tuners {
namespace {

using model::ConnectionSample;
using model::HostFacts;
using model::ListenerSample;

constexpr uint64_t kBacklogMax = 65535;
constexpr uint64_t kBufferMax = 67'108'864;
constexpr double kFullShare = 0.75;
// Over such a way cubic takes seconds to come back from a loss; bbr does not take it for
// congestion.
constexpr uint64_t kLongRttUs = 50'000;
constexpr double kRetransmitMin = 0.01;
constexpr uint64_t kSegmentsMin = 1000;  // sent between two looks: of fewer a share says nothing
constexpr uint64_t kDeliveriesMin = 1000;
constexpr double kWakeupShareMin = 0.5;
constexpr uint64_t kWakeupNsMin = 20'000;
constexpr double kIdleMin = 0.5;  // polling takes from the CPU what nobody else needs
constexpr int kBusyPollUs = 50;   // Documentation/admin-guide/sysctl/net.rst

double share_of(uint64_t part, uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

// `setting` of the process's network namespace.
std::string sysctl(const HostFacts& facts, const std::string& setting) {
  return facts.own_network ? fmt::format("nsenter -t {} -n sysctl -w {}", facts.pid, setting)
                           : "sysctl -w " + setting;
}

Proposal advice(const char* scenario, std::string target) {
  Proposal proposal;
  proposal.scenario = scenario;
  proposal.target = std::move(target);
  return proposal;
}

const ConnectionSample* same_connection(const HostFacts& facts, const ConnectionSample& wanted) {
  const auto& all = facts.network.connections;
  const auto at = std::find_if(all.begin(), all.end(), [&](const ConnectionSample& one) {
    return one.socket.inode == wanted.socket.inode;
  });
  return at == all.end() ? nullptr : &*at;
}

// The socket's own count says whose queue it was, the namespace's that it was full.
void find_overflows(const HostFacts& now, const HostFacts& before, std::vector<Proposal>& found) {
  if (!now.listen || !before.listen || now.listen->overflows <= before.listen->overflows) return;
  const uint64_t overflows = now.listen->overflows - before.listen->overflows;
  for (const ListenerSample& listener : now.network.listeners) {
    const auto& all = before.network.listeners;
    const auto earlier = std::find_if(all.begin(), all.end(), [&](const ListenerSample& one) {
      return one.inode == listener.inode;
    });
    if (earlier == all.end() || listener.drops <= earlier->drops) continue;
    const uint64_t drops = listener.drops - earlier->drops;
    const uint64_t target =
        std::min(std::bit_ceil(std::max<uint64_t>(2 * listener.backlog, 128)), kBacklogMax);
    if (target <= listener.backlog) continue;
    const uint64_t limit = now.settings.somaxconn.value_or(0);
    Proposal proposal = advice("host.listen-overflow",
                               fmt::format("listening socket {} of {}", listener.fd, now.process));
    proposal.evidence = fmt::format(
        "it turned {} connections away since the last look; {} connections may wait to be accepted "
        "(its backlog), {} do now{}; queues of its network namespace overflowed {} times",
        drops, listener.backlog, listener.queued,
        limit == 0 ? "" : fmt::format(", net.core.somaxconn is {}", limit), overflows);
    proposal.figures = {{"drops", static_cast<double>(drops), 0.0},
                        {"overflows", static_cast<double>(overflows), 0.0},
                        {"backlog", static_cast<double>(listener.backlog)},
                        {"queued", static_cast<double>(listener.queued)}};
    if (limit != 0) proposal.figures.push_back({"somaxconn", static_cast<double>(limit)});
    proposal.expected = fmt::format(
        "a burst of {} connections waits, where now clients try again after a second; where it "
        "overflows all the time the server accepts too slowly, which no backlog mends",
        target);
    const std::string backlog =
        fmt::format("have the server listen() with a backlog of {} (nginx: listen ... backlog={})",
                    target, target);
    const std::string raise = sysctl(now, fmt::format("net.core.somaxconn={}", target));
    const bool is_cut = limit == 0 || target > limit;
    proposal.by_hand = is_cut ? fmt::format("{}; then {}", raise, backlog) : backlog;
    proposal.bounds = fmt::format("up to {}; advice only", kBacklogMax);
    found.push_back(std::move(proposal));
  }
}

// Those that the kernel tunes, at the most it may give, and in use.
void find_buffers(const HostFacts& now, const HostFacts& before, bool receive,
                  std::vector<Proposal>& found) {
  const auto& sizes = receive ? now.settings.tcp_rmem : now.settings.tcp_wmem;
  if (!sizes || now.own_network) return;
  const uint64_t most = sizes->at(2);
  const uint32_t set_bit = receive ? 2 : 1;  // SO_BUF_LOCK
  uint64_t at_most = 0;
  uint64_t bytes = 0;
  for (const ConnectionSample& one : now.network.connections) {
    const ConnectionSample* const earlier = same_connection(before, one);
    const model::SocketSample& socket = one.socket;
    const uint64_t size = receive ? socket.rcvbuf_bytes : socket.sndbuf_bytes;
    if (earlier == nullptr || size < most || (socket.buffer_lock.value_or(0) & set_bit) != 0) {
      continue;
    }
    const uint64_t moved = receive ? socket.received_bytes - earlier->socket.received_bytes
                                   : socket.acked_bytes - earlier->socket.acked_bytes;
    const double full =
        share_of(receive ? socket.rmem_alloc_bytes : socket.wmem_queued_bytes, size);
    // A receive queue that stays full is a server that reads slowly; a send queue, a peer or a way
    // that is slower than the server writes. Less than a buffer between two looks needs no larger.
    const bool held_up = receive ? full < kFullShare : full >= kFullShare;
    if (!held_up || moved < size) continue;
    ++at_most;
    bytes += moved;
  }
  const uint64_t target = std::min(2 * most, kBufferMax);
  if (at_most == 0 || target <= most) return;
  const char* const name = receive ? "tcp_rmem" : "tcp_wmem";
  Proposal proposal =
      advice(receive ? "host.receive-buffer-max" : "host.send-buffer-max", now.process);
  proposal.evidence = fmt::format(
      "of {} connections looked at, {} have a {} buffer of {} bytes, the most that the kernel "
      "gives "
      "by itself ({}), and moved {} bytes since the last look",
      now.network.connections.size(), at_most, receive ? "receive" : "send", most, name, bytes);
  proposal.figures = {{"connections_at_most", static_cast<double>(at_most), 0.0},
                      {"connections", static_cast<double>(now.network.connections.size())},
                      {"size_bytes_max", static_cast<double>(most)},
                      {"moved_bytes", static_cast<double>(bytes)}};
  proposal.expected =
      "over a way of which rate times round trip is more than that, up to twice the rate of a "
      "connection; each may take as much memory (tcp_mem bounds all of them)";
  proposal.by_hand = sysctl(
      now, fmt::format("net.ipv4.{}=\"{} {} {}\"", name, sizes->at(0), sizes->at(1), target));
  proposal.bounds = fmt::format("up to {} bytes; advice only", kBufferMax);
  found.push_back(std::move(proposal));
}

void find_congestion(const HostFacts& now, const HostFacts& before, std::vector<Proposal>& found) {
  const auto& available = now.settings.congestion_controls;
  const std::string& chosen = now.settings.congestion_control;
  const bool has_bbr = std::find(available.begin(), available.end(), "bbr") != available.end();
  if (now.own_network || !has_bbr || chosen == "bbr") return;
  uint64_t connections = 0;
  uint64_t sent = 0;
  uint64_t again = 0;
  uint64_t rtt_us_sum = 0;
  for (const ConnectionSample& one : now.network.connections) {
    const ConnectionSample* const earlier = same_connection(before, one);
    if (earlier == nullptr || one.congestion_control != "cubic" || one.rtt_us < kLongRttUs) {
      continue;
    }
    ++connections;
    sent += one.segments_out - earlier->segments_out;
    again += one.retransmits - earlier->retransmits;
    rtt_us_sum += one.rtt_us;
  }
  const double share = share_of(again, sent);
  if (connections == 0 || sent < kSegmentsMin || share < kRetransmitMin) return;
  const uint64_t rtt_ms = rtt_us_sum / connections / 1000;
  Proposal proposal = advice("host.congestion-control", now.process);
  proposal.evidence = fmt::format(
      "{} connections with cubic and a round trip of {} ms (mean; {} ms or more each) sent {:.1f} "
      "% "
      "of {} segments again (limit {:.0f} %)",
      connections, rtt_ms, kLongRttUs / 1000, share * 100, sent, kRetransmitMin * 100);
  proposal.figures = {{"retransmit_share", share, kRetransmitMin},
                      {"segments", static_cast<double>(sent)},
                      {"rtt_ms_mean", static_cast<double>(rtt_ms), kLongRttUs / 1000.0},
                      {"connections", static_cast<double>(connections)}};
  proposal.expected =
      "cubic takes each loss for congestion and halves its rate; bbr goes by the rate that comes "
      "through, so that losses which are none cost little. More may be sent again";
  proposal.by_hand = sysctl(now, "net.core.default_qdisc=fq net.ipv4.tcp_congestion_control=bbr") +
                     ", for new connections of every program";
  proposal.bounds = "advice only";
  found.push_back(std::move(proposal));
}

void find_busy_poll(const HostFacts& now, std::vector<Proposal>& found) {
  const model::WakeupFacts& wakeups = now.wakeups;
  const auto& all = now.network.connections;
  const auto queues = std::count_if(all.begin(), all.end(),
                                    [](const ConnectionSample& one) { return one.napi_id != 0; });
  const bool is_off = now.settings.busy_poll_us == uint64_t{0};
  if (queues == 0 || !is_off || wakeups.deliveries < kDeliveriesMin ||
      wakeups.share < kWakeupShareMin || wakeups.ns_mean < kWakeupNsMin ||
      wakeups.idle_share < kIdleMin) {
    return;
  }
  Proposal proposal = advice("host.busy-poll", now.process);
  proposal.evidence = fmt::format(
      "{:.0f} % of the time from ready to delivered passes until a thread runs (limit {:.0f} %), "
      "{} "
      "us from woken to running, of {} deliveries; its CPUs are idle {:.0f} % of the time, and {} "
      "of "
      "{} connections come by a queue of a network card that can be polled (NAPI)",
      wakeups.share * 100, kWakeupShareMin * 100, wakeups.ns_mean / 1000, wakeups.deliveries,
      wakeups.idle_share * 100, queues, all.size());
  proposal.figures = {{"wakeup_share", wakeups.share, kWakeupShareMin},
                      {"wakeup_us_mean", static_cast<double>(wakeups.ns_mean) / 1000,
                       static_cast<double>(kWakeupNsMin) / 1000},
                      {"idle_share", wakeups.idle_share, kIdleMin},
                      {"napi_connections", static_cast<double>(queues)}};
  proposal.expected = fmt::format(
      "a thread that waits asks the card for up to {} us before it sleeps: what comes within that "
      "needs no interrupt and no wake-up, and costs that time of a CPU",
      kBusyPollUs);
  proposal.by_hand =
      fmt::format("sysctl -w net.core.busy_poll={0} net.core.busy_read={0}", kBusyPollUs);
  proposal.bounds = fmt::format("{} us; advice only", kBusyPollUs);
  found.push_back(std::move(proposal));
}

}  // namespace

std::vector<Proposal> advise_host(const HostFacts& now, const HostFacts& before) {
  std::vector<Proposal> found;
  find_overflows(now, before, found);
  find_buffers(now, before, true, found);
  find_buffers(now, before, false, found);
  find_congestion(now, before, found);
  find_busy_poll(now, found);
  return found;
}

Findings HostAdvice::step(const HostFacts& facts, uint64_t now_ns) {
  std::vector<Proposal> found;
  if (last_) found = advise_host(facts, *last_);
  last_ = facts;
  return persistence_.step(std::move(found), now_ns);
}

}  // namespace epulse::tuners
