#include "tools/report/join_text.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "agent/model/text.hpp"
#include "common/json_line.hpp"
#include "tools/cli/worker_values.hpp"

namespace epulse::report {
namespace {

using model::duration_text;

constexpr size_t kWorkersShown = 8;
constexpr std::array<std::string_view, kJoinStages> kMeanings{
    "the client was late to send: does its own CPU suffice?",
    "between the client's write and the server's ready list",
    "the worker was in the handlers of other events: too much on this worker, or one slow handler",
    "ready, and the sleeping worker not woken yet",
    "woken, without a CPU: `epulse stat --stage` names who had it",
    "the kernel's part of epoll_wait",
    "the application",
    "after the handler: the client was slow to read, or the network"};

double mean(uint64_t sum, uint64_t count) {
  return count == 0 ? 0 : static_cast<double>(sum) / static_cast<double>(count);
}

std::string mean_text(uint64_t sum, uint64_t count) {
  return count == 0 ? "-" : duration_text(static_cast<uint64_t>(mean(sum, count)));
}

std::string worker_name(uint32_t tid, const record::ThreadNames& names) {
  const auto name = names.find(tid);
  return fmt::format("{}[{}]", name == names.end() ? "?" : name->second, tid);
}

// Who has most of the group's time first.
std::vector<std::pair<uint32_t, JoinPart>> by_time(const JoinGroup& group) {
  std::vector<std::pair<uint32_t, JoinPart>> workers(group.workers.begin(), group.workers.end());
  std::stable_sort(workers.begin(), workers.end(), [](const auto& a, const auto& b) {
    return a.second.latency_ns > b.second.latency_ns;
  });
  return workers;
}

template <typename Cell>
void add_row(std::string& text, std::string_view title, const Join& join, const Cell& cell) {
  text += fmt::format("  {:<20}", title);
  for (const JoinGroup& group : join.groups) text += fmt::format(" {:>16}", cell(group));
  text += '\n';
}

void add_groups(std::string& text, const Join& join) {
  add_row(text, "messages", join, [](const JoinGroup& group) { return group.name; });
  add_row(text, "count", join, [](const JoinGroup& group) { return group.all.messages; });
  add_row(text, "latency from", join,
          [](const JoinGroup& group) { return duration_text(group.from_ns); });
  add_row(text, "mean latency", join, [](const JoinGroup& group) {
    return mean_text(group.all.latency_ns, group.all.messages);
  });
  for (size_t stage = 0; stage < kJoinStages; ++stage) {
    add_row(text, kJoinStageNames[stage], join, [&](const JoinGroup& group) {
      return fmt::format("{:>8} {:>5.1f} %", mean_text(group.all.ns[stage], group.all.messages),
                         100 * group.all.share(stage));
    });
  }
}

void add_workers(std::string& text, const JoinGroup& group, const record::ThreadNames& names) {
  const auto workers = by_time(group);
  for (size_t i = 0; i < std::min(workers.size(), kWorkersShown); ++i) {
    const auto& [tid, part] = workers[i];
    text +=
        fmt::format("    {:<24} {:>8} messages, mean {:>8}, {} {:.0f} %\n", worker_name(tid, names),
                    part.messages, mean_text(part.latency_ns, part.messages),
                    kJoinStageNames[part.largest()], 100 * part.share(part.largest()));
  }
  if (workers.size() > kWorkersShown) {
    text += fmt::format("    and {} others\n", workers.size() - kWorkersShown);
  }
}

// What makes the above less than it seems.
void add_doubts(std::string& text, const LoadRecord& load, const Deliveries& deliveries,
                const Join& join) {
  const auto add = [&](uint64_t count, std::string_view what) {
    if (count != 0) text += fmt::format("# {} {}\n", count, what);
  };
  add(join.unanswered, "messages were not answered, and are in no column");
  add(join.of_unknown_connections,
      "messages came over connections that the recorder did not see: too short, not this server's, "
      "or behind a proxy or NAT");
  add(join.without_delivery,
      "messages have no epoll_wait in the recording: it began later or ended sooner, or it is not "
      "this server's");
  add(deliveries.waits_dropped(),
      "waits were dropped: what they delivered is laid beside the waits next to them");
  if (deliveries.undetailed_ns() != 0) {
    text += fmt::format(
        "# for {} nothing was measured in detail, to keep to a budget: "
        "epulse record --overhead-budget 0\n",
        duration_text(deliveries.undetailed_ns()));
  }
  if (!load.ended) text += fmt::format("# {} has no end: it was cut short\n", load.path);
}

std::string json_name(std::string_view name) {
  return cli::member_name(name);
}

void add_part(JsonLine& line, const JoinPart& part) {
  line.member("messages", part.messages);
  line.member("mean_ns", mean(part.latency_ns, part.messages)).key("stages").begin_object();
  for (size_t stage = 0; stage < kJoinStages; ++stage) {
    line.member(json_name(kJoinStageNames[stage]) + "_ns", mean(part.ns[stage], part.messages));
  }
  line.end_object();
  if (part.messages == 0) {
    line.key("largest").value(std::monostate());
  } else {
    line.member("largest", json_name(kJoinStageNames[part.largest()]));
  }
}

}  // namespace

std::string join_text(const LoadRecord& load, const Deliveries& deliveries, const Join& join) {
  std::string text = fmt::format(
      "# load: {}: {} messages to {}, {} loop{}\n", load.path, load.messages.size(), load.url,
      load.mode, load.sample_every == 1 ? "" : fmt::format(", one in {}", load.sample_every));
  text += fmt::format("# {} of them laid beside {} deliveries; means, and shares of the latency\n",
                      join.attributed, deliveries.count());
  add_groups(text, join);
  for (const JoinGroup& group : join.groups) {
    if (group.all.messages == 0) continue;
    const JoinStage largest = group.all.largest();
    text += fmt::format("\n  {}: {} {:.0f} %: {}\n", group.name, kJoinStageNames[largest],
                        100 * group.all.share(largest), kMeanings[largest]);
    add_workers(text, group, deliveries.names());
  }
  add_doubts(text, load, deliveries, join);
  return text;
}

std::string join_json(const Read& file, const LoadRecord& load, const Deliveries& deliveries,
                      const Join& join) {
  JsonLine line("join");
  add_file(line.key("file"), file);
  line.key("load").begin_object().member("path", load.path).member("url", load.url);
  line.member("mode", load.mode).member("messages", load.messages.size());
  line.member("sample_every", load.sample_every).member("ended", load.ended).end_object();
  line.member("deliveries", deliveries.count()).member("waits_dropped", deliveries.waits_dropped());
  line.member("undetailed_ns", deliveries.undetailed_ns()).member("attributed", join.attributed);
  line.member("unanswered", join.unanswered);
  line.member("of_unknown_connections", join.of_unknown_connections);
  line.member("without_delivery", join.without_delivery).key("groups").begin_array();
  for (const JoinGroup& group : join.groups) {
    line.begin_object().member("name", group.name).member("from_ns", group.from_ns);
    add_part(line, group.all);
    line.key("workers").begin_array();
    for (const auto& [tid, part] : by_time(group)) {
      const auto name = deliveries.names().find(tid);
      line.begin_object().member("tid", tid);
      line.member("thread", name == deliveries.names().end() ? std::string{} : name->second);
      add_part(line, part);
      line.end_object();
    }
    line.end_array().end_object();
  }
  return line.end_array().finish();
}

}  // namespace epulse::report
