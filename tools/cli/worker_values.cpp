#include "tools/cli/worker_values.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "agent/model/verdict.hpp"

namespace epulse::cli {
namespace {

struct Quantile {
  const char* name;
  double rank;
};
constexpr std::array<Quantile, 4> kQuantiles = {
    {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}}};

PlainValue name_of(uint32_t id, const record::ThreadNames& names) {
  const auto name = names.find(id);
  return name == names.end() ? PlainValue{} : PlainValue{name->second};
}

// In the order of both forms.
NamedValues identity(const model::WorkerKey& key, const record::ThreadNames& names) {
  return {{"pid", uint64_t{key.tgid}},
          {"process", name_of(key.tgid, names)},
          {"tid", uint64_t{key.tid}},
          {"thread", name_of(key.tid, names)},
          {"epfd", key.epfd < 0 ? PlainValue{} : PlainValue{static_cast<uint64_t>(key.epfd)}}};
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

}  // namespace

std::string member_name(std::string_view name) {
  std::string result(name);
  std::replace_if(
      result.begin(), result.end(), [](char c) { return c == ' ' || c == '-'; }, '_');
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
  line.key("stages").begin_object();
  for (size_t i = 0; i < worker.stages.size(); ++i) {
    add_histogram(line.key(member_name(model::kStageNames[i])), worker.stages[i], "_ns");
  }
  line.end_object().key("items").begin_object();
  for (size_t i = 0; i < worker.items.size(); ++i) {
    add_histogram(line.key(member_name(model::kItemsNames[i])), worker.items[i], "");
  }
  line.end_object().member("verdict", model::verdict(worker));
}

}  // namespace epulse::cli
