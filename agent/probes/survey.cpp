#include "agent/probes/survey.hpp"

#include <initializer_list>
#include <string>
#include <utility>

#include "agent/error.hpp"
#include "agent/probes/epoll_list.hpp"
#include "agent/probes/socket_probe.hpp"
#include "agent/probes/uring_probe.hpp"
#include "agent/probes/uring_variants.hpp"

namespace epulse::probes {
namespace {

MetricPlan exact(std::string name) {
  return {std::move(name), Quality::kExact, {}};
}

std::vector<MetricPlan> all_absent(std::initializer_list<const char*> names,
                                   const std::string& why) {
  std::vector<MetricPlan> metrics;
  for (const char* name : names) metrics.push_back({name, Quality::kAbsent, why});
  return metrics;
}

constexpr auto kRings = {"SQ occupancy", "CQ occupancy", "CQ overflow", "submit to complete",
                         "complete to reap"};
constexpr auto kSockets = {"socket queues", "receive queue full", "UDP queue full",
                           "buffer limit hits"};
constexpr auto kSampling = {"depth of all epolls"};

std::vector<MetricPlan> ring_metrics() {
  std::vector<MetricPlan> metrics = {exact("SQ occupancy"), exact("CQ occupancy"),
                                     exact("CQ overflow")};
  try {
    const UringVariants variants = uring_variants(detect_uring_tracepoints());
    UringProbe::check_load();
    metrics.push_back(
        variants.complete_names_request
            ? exact("submit to complete")
            : MetricPlan{"submit to complete", Quality::kEstimated,
                         "of requests alone whose user_data no other has: completions "
                         "do not name their request (before Linux 5.18)"});
    metrics.push_back({"complete to reap", Quality::kEstimated,
                       "at most this: the application moves the CQ's head without a word"});
    return metrics;
  } catch (const LoadError& error) {
    return all_absent(kRings, error.what());
  }
}

MetricPlan counted(const char* name, bool hooked, const char* tracepoint) {
  if (hooked) return exact(name);
  return {name, Quality::kAbsent, std::string("the kernel has no tracepoint ") + tracepoint};
}

std::vector<MetricPlan> socket_metrics(const kernel::Facts& facts) {
  try {
    const model::SocketHooks hooks = SocketProbe::check_load(facts);
    return {exact("socket queues"),
            counted("receive queue full", hooks.queue_full, "sock_rcvqueue_full"),
            counted("UDP queue full", hooks.udp_queue_full, "udp_fail_queue_rcv_skb"),
            counted("buffer limit hits", hooks.limit_hits, "sock_exceed_buf_limit")};
  } catch (const LoadError& error) {
    return all_absent(kSockets, error.what());
  }
}

std::vector<MetricPlan> sampling_metrics(const kernel::Facts& facts) {
  try {
    const EpollLister lister(facts);
    return {exact("depth of all epolls")};
  } catch (const LoadError& error) {
    return all_absent(kSampling, error.what());
  }
}

}  // namespace

std::vector<MetricPlan> survey(const kernel::Facts& facts, const Plan& epoll) {
  std::vector<MetricPlan> metrics;
  const auto add = [&](const std::vector<MetricPlan>& more) {
    metrics.insert(metrics.end(), more.begin(), more.end());
  };
  if (facts.bpf_errno != 0) {
    for (const auto& names : {kSampling, kRings, kSockets}) add(all_absent(names, epoll.why));
    return metrics;
  }
  add(sampling_metrics(facts));
  add(ring_metrics());
  add(socket_metrics(facts));
  return metrics;
}

}  // namespace epulse::probes
