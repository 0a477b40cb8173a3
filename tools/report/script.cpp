#include "tools/report/script.hpp"

#include <fmt/format.h>

#include "agent/error.hpp"
#include "agent/model/text.hpp"
#include "common/json_line.hpp"
#include "tools/cli/worker_values.hpp"
#include "tools/report/summary.hpp"

namespace epulse::report {
namespace {

constexpr size_t kInstancesMax = 65536;

std::string reasons_text(const epoll_wait_record& wait) {
  return fmt::format("{}", fmt::join(cli::reasons_of(wait), ","));
}

std::string seconds_text(uint64_t ns) {
  return fmt::format("{}.{:09}", ns / 1'000'000'000, ns % 1'000'000'000);
}

std::string meta_json(const std::string& name, const std::string& value) {
  return JsonLine("meta").member("name", name).member("value", value).finish();
}

std::string worker_json(const model::EpollSnapshot& interval, const model::WorkerStats& worker,
                        const record::ThreadNames& names) {
  JsonLine line("interval");
  line.member("time_ns", interval.time_ns).member("duration_ns", interval.duration_ns);
  line.member("detailed_ns", interval.detailed_ns);
  cli::add_worker(line, worker, names);
  return line.finish();
}

std::string wait_json(const epoll_wait_record& wait, const record::ThreadNames& names) {
  JsonLine line("wait");
  cli::add_wait(line, wait, names);
  return line.finish();
}

std::string loss_json(const model::EpollSnapshot& interval) {
  JsonLine line("loss");
  line.member("time_ns", interval.time_ns);
  cli::add_losses(line.key("losses"), interval.losses);
  return line.finish();
}

std::string connection_json(uint64_t time_ns, const model::WorkerKey& worker,
                            const record::WatchedConnection& connection,
                            const record::ThreadNames& names) {
  JsonLine line("connection");
  line.member("time_ns", time_ns);
  cli::add_thread(line, worker.tid, worker.epfd, names);
  line.member("local", connection.local).member("peer", connection.peer);
  return line.finish();
}

std::string connection_line(uint64_t time_ns, const model::WorkerKey& worker,
                            const record::WatchedConnection& connection, const std::string& name) {
  return fmt::format("{:>18} {:>16} {:>7} connection: epfd {} local {} peer {}\n",
                     seconds_text(time_ns), name, worker.tid, worker.epfd, connection.local,
                     connection.peer);
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
      stage(EPOLL_STAGE_READY_TO_DELIVERED), reasons_text(wait));
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

}  // namespace

void Script::on_meta(const record::Meta& meta) {
  for (const auto& [key, value] : meta) {
    put(json_ ? meta_json(key, value) : fmt::format("# {}: {}\n", key, value));
  }
}

void Script::on_interval(const model::EpollSnapshot& interval, const record::ThreadNames& names) {
  keep_names(names_, names);
  for (const model::WorkerStats& worker : interval.workers) {
    if (worker.waits() == 0) continue;
    if (instances_.size() < kInstancesMax || instances_.contains(worker.key.epoll_id)) {
      instances_[worker.key.epoll_id] = worker.key;
    }
    put(json_ ? worker_json(interval, worker, names_)
              : worker_line(interval, worker, name_of(worker.key.tid)));
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
    put(json_ ? wait_json(wait, names_) : wait_line(wait, name_of(wait.tid)));
  }
}

void Script::on_connections(uint64_t time_ns,
                            std::span<const record::WatchedConnection> connections) {
  for (const record::WatchedConnection& connection : connections) {
    const auto worker = instances_.find(connection.epoll_id);
    if (worker == instances_.end()) continue;  // the recording begins with another interval
    put(json_ ? connection_json(time_ns, worker->second, connection, names_)
              : connection_line(time_ns, worker->second, connection, name_of(worker->second.tid)));
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
