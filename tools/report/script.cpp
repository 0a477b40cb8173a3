#include "tools/report/script.hpp"

#include <fmt/format.h>

#include "agent/error.hpp"
#include "agent/model/text.hpp"

namespace epulse::report {
namespace {

using model::json_text;

// Keys of JSON, in the order of bpf/epoll.h.
constexpr std::string_view kStageKeys[] = {"ready_to_woken_ns", "woken_to_running_ns",
                                           "running_to_delivered_ns", "ready_to_delivered_ns",
                                           "handler_ns"};
constexpr std::string_view kItemsKeys[] = {"listed", "fresh", "left", "batch"};
constexpr std::string_view kCounterKeys[] = {
    "waits",   "deliveries",    "saturated", "timeouts",     "errors",
    "wakeups", "empty_wakeups", "untimed",   "unseen_depth", "invalid"};
static_assert(std::size(kStageKeys) == EPOLL_STAGES && std::size(kItemsKeys) == EPOLL_ITEMS &&
              std::size(kCounterKeys) == EPOLL_COUNTERS);

std::string head(const char* type) {
  return fmt::format(R"({{"schema_version":{},"type":"{}")", Script::kSchemaVersion, type);
}

std::string reasons_text(uint32_t reasons) {
  std::string text;
  const auto add = [&](uint32_t bit, const char* name) {
    if ((reasons & bit) != 0) text += (text.empty() ? "" : ",") + std::string(name);
  };
  add(EPOLL_WAIT_DEEP, "deep");
  add(EPOLL_WAIT_LATE, "late");
  add(EPOLL_WAIT_SAMPLED, "sampled");
  return text;
}

std::string seconds_text(uint64_t ns) {
  return fmt::format("{}.{:09}", ns / 1'000'000'000, ns % 1'000'000'000);
}

std::string histogram_json(const model::Histogram& histogram) {
  return fmt::format(R"({{"count":{},"sum":{},"p50":{},"p90":{},"p99":{},"max":{}}})",
                     histogram.count(), histogram.sum(), histogram.quantile(0.5),
                     histogram.quantile(0.9), histogram.quantile(0.99), histogram.max());
}

std::string worker_json(const model::EpollSnapshot& interval, const model::WorkerStats& worker,
                        const std::string& name) {
  std::string line = head("interval");
  line += fmt::format(R"(,"time_ns":{},"duration_ns":{},"detailed_ns":{},"tgid":{},"tid":{})",
                      interval.time_ns, interval.duration_ns, interval.detailed_ns, worker.key.tgid,
                      worker.key.tid);
  line += fmt::format(R"(,"thread":{},"epfd":{},"maxevents":{})", json_text(name), worker.key.epfd,
                      worker.max_events);
  for (size_t i = 0; i < EPOLL_COUNTERS; ++i) {
    line += fmt::format(R"(,"{}":{})", kCounterKeys[i], worker.counters[i]);
  }
  for (size_t i = 0; i < EPOLL_STAGES; ++i) {
    line += fmt::format(R"(,"{}":{})", kStageKeys[i], histogram_json(worker.stages[i]));
  }
  for (size_t i = 0; i < EPOLL_ITEMS; ++i) {
    line += fmt::format(R"(,"{}":{})", kItemsKeys[i], histogram_json(worker.items[i]));
  }
  return line + "}\n";
}

std::string wait_json(const epoll_wait_record& wait, const std::string& name) {
  std::string line = head("wait");
  line += fmt::format(R"(,"time_ns":{},"tid":{},"thread":{},"cpu":{},"epfd":{},"reasons":"{}")",
                      static_cast<uint64_t>(wait.time_ns), wait.tid, json_text(name), wait.cpu,
                      wait.epfd, reasons_text(wait.reasons));
  for (size_t i = 0; i < EPOLL_STAGES; ++i) {
    line += fmt::format(R"(,"{}":{})", kStageKeys[i], static_cast<uint64_t>(wait.stage_ns[i]));
  }
  for (size_t i = 0; i < EPOLL_ITEMS; ++i) {
    line += fmt::format(R"(,"{}":{})", kItemsKeys[i], wait.items[i]);
  }
  return line + "}\n";
}

std::string wait_line(const epoll_wait_record& wait, const std::string& name) {
  const auto stage = [&](epoll_stage which) {
    const uint64_t ns = wait.stage_ns[which];
    return ns == 0 ? "-" : model::duration_text(ns);
  };
  return fmt::format(
      "{:>18} {:>16} {:>7} [{:03}] wait: epfd {} listed {} fresh {} batch {} left {} rdy>woke {} "
      "woke>run {} run>dlv {} rdy>dlv {} {}\n",
      seconds_text(wait.time_ns), name, wait.tid, wait.cpu, wait.epfd,
      wait.items[EPOLL_ITEMS_LISTED], wait.items[EPOLL_ITEMS_FRESH], wait.items[EPOLL_ITEMS_BATCH],
      wait.items[EPOLL_ITEMS_LEFT], stage(EPOLL_STAGE_READY_TO_WOKEN),
      stage(EPOLL_STAGE_WOKEN_TO_RUNNING), stage(EPOLL_STAGE_RUNNING_TO_DELIVERED),
      stage(EPOLL_STAGE_READY_TO_DELIVERED), reasons_text(wait.reasons));
}

std::string worker_line(const model::EpollSnapshot& interval, const model::WorkerStats& worker,
                        const std::string& name) {
  const auto p99 = [&](epoll_stage which) {
    const model::Histogram& stage = worker.stages[which];
    return stage.count() == 0 ? "-" : model::duration_text(stage.quantile(0.99));
  };
  return fmt::format(
      "{:>18} {:>16} {:>7} interval: epfd {} waits {} events {} depth p99 {} max {} p99 of "
      "rdy>woke "
      "{} woke>run {} run>dlv {} rdy>dlv {} handler {}\n",
      seconds_text(interval.time_ns), name, worker.key.tid, worker.key.epfd, worker.waits(),
      worker.events(), worker.items[EPOLL_ITEMS_LISTED].quantile(0.99),
      worker.items[EPOLL_ITEMS_LISTED].max(), p99(EPOLL_STAGE_READY_TO_WOKEN),
      p99(EPOLL_STAGE_WOKEN_TO_RUNNING), p99(EPOLL_STAGE_RUNNING_TO_DELIVERED),
      p99(EPOLL_STAGE_READY_TO_DELIVERED), p99(EPOLL_STAGE_HANDLER));
}

std::string loss_json(const model::EpollSnapshot& interval) {
  const model::EpollLosses& losses = interval.losses;
  return head("loss") +
         fmt::format(R"(,"time_ns":{},"waits":{},"worker_waits":{},"instance_waits":{})",
                     interval.time_ns, losses.waits_dropped, losses.workers_dropped,
                     losses.instances_dropped) +
         fmt::format(R"(,"processes":{},"program_runs":{}}})", losses.targets_dropped,
                     losses.runs_missed) +
         "\n";
}

}  // namespace

void Script::on_meta(const record::Meta& meta) {
  for (const auto& [key, value] : meta) {
    put(json_ ? fmt::format("{},\"name\":{},\"value\":{}}}\n", head("meta"), json_text(key),
                            json_text(value))
              : fmt::format("# {}: {}\n", key, value));
  }
}

void Script::on_interval(const model::EpollSnapshot& interval, const record::ThreadNames& names) {
  for (const auto& [id, name] : names) names_[id] = name;
  for (const model::WorkerStats& worker : interval.workers) {
    if (worker.waits() == 0) continue;
    const std::string name = name_of(worker.key.tid);
    put(json_ ? worker_json(interval, worker, name) : worker_line(interval, worker, name));
  }
  if (!interval.losses.any()) return;
  if (json_) {
    put(loss_json(interval));
    return;
  }
  for (const std::string& text : texts_of(interval.losses)) {
    put(fmt::format("{:>18} lost: {}\n", seconds_text(interval.time_ns), text));
  }
}

void Script::on_waits(std::span<const epoll_wait_record> waits) {
  for (const epoll_wait_record& wait : waits) {
    const std::string name = name_of(wait.tid);
    put(json_ ? wait_json(wait, name) : wait_line(wait, name));
  }
}

void Script::put(const std::string& line) {
  if (fwrite(line.data(), 1, line.size(), out_) != line.size()) {
    fail("cannot write the script's output: {}", errno_text(errno));
  }
}

std::string Script::name_of(uint32_t id) const {
  const auto name = names_.find(id);
  return name == names_.end() ? "?" : name->second;
}

}  // namespace epulse::report
