#include "tools/cli/worker_values.hpp"

#include <fmt/format.h>

#include <array>
#include <cctype>

#include "agent/model/verdict.hpp"

namespace epulse::cli {
namespace {

struct Quantile {
  const char* name;
  double rank;
};
constexpr std::array<Quantile, 4> kQuantiles = {
    {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}}};

PlainValue id_of(uint32_t id) {
  return id == 0 ? PlainValue{} : PlainValue{uint64_t{id}};
}

PlainValue descriptor_of(int32_t fd) {
  return fd < 0 ? PlainValue{} : PlainValue{static_cast<uint64_t>(fd)};
}

PlainValue name_of(uint32_t id, const record::ThreadNames& names) {
  const auto name = names.find(id);
  return name == names.end() ? PlainValue{} : PlainValue{name->second};
}

// In the order of both forms; what is not known, or summed over, is none.
NamedValues identity(const model::WorkerKey& key, const record::ThreadNames& names) {
  return {{"pid", id_of(key.tgid)},
          {"process", name_of(key.tgid, names)},
          {"tid", id_of(key.tid)},
          {"thread", name_of(key.tid, names)},
          {"epfd", descriptor_of(key.epfd)}};
}

void add_columns(NamedValues& values, std::string_view name, const model::Histogram& histogram,
                 const char* unit) {
  const auto add = [&](std::string_view figure, const char* of, PlainValue value) {
    const bool known = histogram.count() != 0;
    values.push_back({fmt::format("{}_{}{}", member_name(name), figure, of),
                      known ? std::move(value) : PlainValue{}});
  };
  values.push_back({member_name(name) + "_count", histogram.count()});
  add("mean", unit, histogram.mean());
  for (const Quantile& q : kQuantiles) add(q.name, unit, histogram.quantile(q.rank));
  add("max", unit, histogram.max());
}

template <size_t count>
std::array<std::string, count> member_names(const std::array<std::string_view, count>& names,
                                            std::string_view unit = "") {
  std::array<std::string, count> members;
  for (size_t i = 0; i < count; ++i) members[i] = member_name(names[i]).append(unit);
  return members;
}

}  // namespace

std::string member_name(std::string_view name) {
  std::string result;
  for (const char c : name) {
    const bool joins = c == ' ' || c == '-';
    result += joins ? '_' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return result;
}

void add_histogram(JsonLine& line, const model::Histogram& histogram, const char* unit) {
  if (histogram.count() == 0) {
    line.value(std::optional<int>());
    return;
  }
  const auto name = [&](const char* figure) { return fmt::format("{}{}", figure, unit); };
  line.begin_object().member("count", histogram.count()).member(name("mean"), histogram.mean());
  for (const Quantile& q : kQuantiles) line.member(name(q.name), histogram.quantile(q.rank));
  line.member(name("max"), histogram.max()).end_object();
}

NamedValues worker_values(const model::WorkerStats& worker, const record::ThreadNames& names) {
  NamedValues values = identity(worker.key, names);
  values.push_back({"max_events", uint64_t{worker.max_events}});
  values.push_back({"events", worker.events()});
  for (size_t i = 0; i < worker.counters.size(); ++i) {
    values.push_back({member_name(model::kCounterNames[i]), worker.counters[i]});
  }
  for (size_t i = 0; i < worker.stages.size(); ++i) {
    add_columns(values, model::kStageNames[i], worker.stages[i], "_ns");
  }
  for (size_t i = 0; i < worker.items.size(); ++i) {
    add_columns(values, model::kItemsNames[i], worker.items[i], "");
  }
  return values;
}

void add_worker(JsonLine& line, const model::WorkerStats& worker,
                const record::ThreadNames& names) {
  for (const NamedValue& value : identity(worker.key, names)) line.member(value.name, value.value);
  line.member("max_events", worker.max_events).member("events", worker.events());
  for (size_t i = 0; i < worker.counters.size(); ++i) {
    line.member(member_name(model::kCounterNames[i]), worker.counters[i]);
  }
  add_stages(line, worker);
  line.member("verdict", model::verdict(worker));
}

void add_stages(JsonLine& line, const model::WorkerStats& worker) {
  line.key("stages").begin_object();
  for (size_t i = 0; i < worker.stages.size(); ++i) {
    add_histogram(line.key(member_name(model::kStageNames[i])), worker.stages[i], "_ns");
  }
  line.end_object().key("items").begin_object();
  for (size_t i = 0; i < worker.items.size(); ++i) {
    add_histogram(line.key(member_name(model::kItemsNames[i])), worker.items[i], "");
  }
  line.end_object();
}

std::vector<std::string_view> reasons_of(const epoll_wait_record& wait) {
  std::vector<std::string_view> reasons;
  if ((wait.reasons & EPOLL_WAIT_DEEP) != 0) reasons.emplace_back("deep");
  if ((wait.reasons & EPOLL_WAIT_LATE) != 0) reasons.emplace_back("late");
  if ((wait.reasons & EPOLL_WAIT_SAMPLED) != 0) reasons.emplace_back("sampled");
  return reasons;
}

void add_thread(JsonLine& line, uint32_t tid, int32_t epfd, const record::ThreadNames& names) {
  line.member("tid", tid).member("thread", name_of(tid, names));
  line.member("epfd", descriptor_of(epfd));
}

void add_wait(JsonLine& line, const epoll_wait_record& wait, const record::ThreadNames& names) {
  line.member("time_ns", uint64_t{wait.time_ns}).member("cpu", wait.cpu);
  add_thread(line, wait.tid, wait.epfd, names);
  line.key("reasons").begin_array();
  for (const std::string_view reason : reasons_of(wait)) line.value(reason);
  // A recording has millions of these.
  static const auto kStages = member_names(model::kStageNames, "_ns");
  static const auto kItems = member_names(model::kItemsNames);
  line.end_array().key("stages").begin_object();
  for (size_t i = 0; i < kStages.size(); ++i) {
    const uint64_t ns = wait.stage_ns[i];
    line.member(kStages[i], ns == 0 ? std::nullopt : std::optional(ns));
  }
  line.end_object().key("items").begin_object();
  for (size_t i = 0; i < kItems.size(); ++i) line.member(kItems[i], wait.items[i]);
  line.end_object();
}

void add_losses(JsonLine& line, const model::EpollLosses& losses) {
  line.begin_object()
      .member("waits_dropped", losses.waits_dropped)
      .member("workers_dropped", losses.workers_dropped)
      .member("instances_dropped", losses.instances_dropped)
      .member("targets_dropped", losses.targets_dropped)
      .member("runs_missed", losses.runs_missed)
      .end_object();
}

}  // namespace epulse::cli
