#include "server/session/prometheus.hpp"

#include <fmt/format.h>

#include <iterator>

#include "server/contract/handshake_buckets.hpp"
#include "server/session/counters.hpp"

namespace epulse::server {
namespace {

using Out = std::back_insert_iterator<std::string>;

void head(Out out, std::string_view metric, std::string_view type, std::string_view help) {
  fmt::format_to(out, "# HELP epulse_ws_{0} {1}.\n# TYPE epulse_ws_{0} {2}\n", metric, help, type);
}

void append_counter(Out out, const Counter& counter, std::span<const epulse_stats_worker> workers) {
  head(out, counter.metric, counter.type, counter.help);
  for (std::size_t k = 0; k < workers.size(); ++k) {
    const __u64 value = workers[k].*counter.field;
    if (counter.unit == 1) {
      fmt::format_to(out, "epulse_ws_{}{{worker=\"{}\"}} {}\n", counter.metric, k, value);
    } else {
      fmt::format_to(out, "epulse_ws_{}{{worker=\"{}\"}} {:.9f}\n", counter.metric, k,
                     static_cast<double>(value) * counter.unit);
    }
  }
}

void append_handshakes(Out out, std::span<const epulse_stats_worker> workers) {
  constexpr std::string_view kMetric = "handshake_duration_seconds";
  head(out, kMetric, "histogram", "From accept to the answer that completes the handshake");
  for (std::size_t k = 0; k < workers.size(); ++k) {
    __u64 count = 0;
    for (std::size_t i = 0; i < kHandshakeBounds.size(); ++i) {
      count += workers[k].handshake_buckets[i];
      fmt::format_to(out, "epulse_ws_{}_bucket{{worker=\"{}\",le=\"{}\"}} {}\n", kMetric, k,
                     static_cast<double>(kHandshakeBounds[i]) * 1e-9, count);
    }
    count += workers[k].handshake_buckets[kHandshakeBounds.size()];
    fmt::format_to(out, "epulse_ws_{0}_bucket{{worker=\"{1}\",le=\"+Inf\"}} {2}\n", kMetric, k,
                   count);
    fmt::format_to(out, "epulse_ws_{}_sum{{worker=\"{}\"}} {:.9f}\n", kMetric, k,
                   static_cast<double>(workers[k].handshake_ns) * 1e-9);
    fmt::format_to(out, "epulse_ws_{}_count{{worker=\"{}\"}} {}\n", kMetric, k, count);
  }
}

}  // namespace

std::string prometheus_text(std::span<const epulse_stats_worker> workers) {
  std::string text;
  const Out out(text);
  for (const Counter& counter : kCounters) append_counter(out, counter, workers);
  append_handshakes(out, workers);
  return text;
}

}  // namespace epulse::server
