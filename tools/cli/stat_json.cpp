#include <ctime>

#include "agent/model/socket_text.hpp"
#include "common/json_line.hpp"
#include "tools/cli/named_values.hpp"
#include "tools/cli/output.hpp"
#include "tools/cli/stat_output.hpp"
#include "tools/cli/worker_values.hpp"

// docs/metrics.md says what each metric means.
namespace epulse::cli {
namespace {

constexpr size_t kWorstSockets = 5;  // of each order

void add_blames(JsonLine& line, const std::vector<model::Blame>& blames) {
  line.key("blames").begin_array();
  for (const model::Blame& blame : blames) {
    line.begin_object().member("victim_tid", blame.victim).member("culprit_tid", blame.culprit);
    line.member("culprit", blame.culprit == 0 ? std::string("idle CPU") : blame.comm);
    line.member("ns", blame.ns).member("times", blame.times).end_object();
  }
  line.end_array();
}

void add_interference(JsonLine& line, const model::Interference& interference) {
  line.key("interference").begin_object().key("cpus").begin_array();
  for (const auto& cpu : interference.cpus) {
    line.begin_object().member("cpu", cpu.cpu).member("softirq_share", cpu.softirq_share);
    line.member("steal_share", cpu.steal_share).end_object();
  }
  line.end_array().member("throttled_times", interference.throttled_times);
  line.member("throttled_ns", interference.throttled_ns).end_object();
}

void add_overhead(JsonLine& line, const model::Overhead& overhead) {
  line.key("overhead").begin_object().member("budget_share", overhead.budget);
  line.member("cost_share", overhead.full_cost).member("least_cost_share", overhead.least_cost);
  line.member("detail_one_in", overhead.detail_one_in).end_object();
}

void add_rings(JsonLine& line, const model::UringSnapshot& rings,
               const record::ThreadNames& names) {
  line.key("rings").begin_array();
  for (const model::RingUserStats& user : rings.users) {
    if (!user.active()) continue;
    const auto name = names.find(user.key.tid);
    line.begin_object().member("tid", user.key.tid);
    line.member("thread", name == names.end() ? PlainValue{} : PlainValue{name->second});
    line.member("fd", user.fd < 0 ? std::optional<int>() : std::optional<int>(user.fd));
    line.member("mode", model::ring_mode(user.setup_flags));
    line.member("sq_entries", user.sq_entries).member("cq_entries", user.cq_entries);
    for (size_t i = 0; i < user.counters.size(); ++i) {
      line.member(member_name(model::kUringCounterNames[i]), user.counters[i]);
    }
    line.key("stages").begin_object();
    for (size_t i = 0; i < user.stages.size(); ++i) {
      add_histogram(line.key(member_name(model::kUringStageNames[i])), user.stages[i], "_ns");
    }
    line.end_object().key("items").begin_object();
    for (size_t i = 0; i < user.items.size(); ++i) {
      add_histogram(line.key(member_name(model::kUringItemsNames[i])), user.items[i], "");
    }
    line.end_object().end_object();
  }
  line.end_array();
}

// Of each order the worst alone: a server may have a hundred thousand.
void add_sockets(JsonLine& line, const model::SocketPressure& pressure) {
  line.key("sockets").begin_array();
  for (const socket_record& socket : model::worst_of_all(pressure.sockets, kWorstSockets)) {
    line.begin_object().member("fd", socket.fd).member("kind", model::kind_text(socket));
    line.member("local", model::local_text(socket)).member("peer", model::peer_text(socket));
    line.member("receive_bytes", socket.receive_bytes).member("rcvbuf_bytes", socket.rcvbuf_bytes);
    line.member("send_bytes", socket.send_bytes).member("sndbuf_bytes", socket.sndbuf_bytes);
    line.member("drops", socket.drops).member("queue_full", socket.queue_full);
    line.member("limit_hits", socket.limit_hits).end_object();
  }
  line.end_array();
}

class StatJson : public StatOutput {
 public:
  void start(const std::string& title, const std::string& backend) override {
    JsonLine line = begin("start");
    line.member("target", title).member("backend", backend);
    print_text(line.finish());
    flush_output();
  }

  void interval(const StatReport& report) override {
    JsonLine line = begin("interval");
    add(line, report);
    print_text(line.finish());
    flush_output();
  }

  void summary(const StatReport& report, const StatEnd& end) override {
    JsonLine line = begin("summary");
    line.member("target", end.title).member("ended", end.reason);
    add(line, report);
    line.key("costs").begin_array();
    for (const probes::ProgramCost& cost : end.costs) {
      line.begin_object().member("program", cost.name).member("runs", cost.runs);
      line.member("run_ns", cost.run_ns).end_object();
    }
    line.end_array().member("costs_timed_ns", end.timed_ns);
    print_text(line.finish());
    flush_output();
  }

 private:
  static JsonLine begin(const char* type) {
    JsonLine line(type);
    line.member("time", static_cast<uint64_t>(time(nullptr)));
    return line;
  }

  static void add(JsonLine& line, const StatReport& report) {
    line.member("duration_ns", report.epoll.duration_ns);
    line.member("detailed_ns", report.epoll.detailed_ns);
    line.key("workers").begin_array();
    for (const model::WorkerStats& worker : report.epoll.workers) {
      if (worker.waits() == 0) continue;
      line.begin_object();
      add_worker(line, worker, report.names);
      line.end_object();
    }
    line.end_array();
    add_blames(line, report.blames);
    add_interference(line, report.interference);
    add_overhead(line, report.overhead);
    add_losses(line.key("losses"), report.epoll.losses);
    if (report.rings != nullptr) add_rings(line, *report.rings, report.names);
    if (report.sockets != nullptr) add_sockets(line, *report.sockets);
  }
};

}  // namespace

std::unique_ptr<StatOutput> make_stat_json() {
  return std::make_unique<StatJson>();
}

}  // namespace epulse::cli
