#include "tools/report/json.hpp"

#include "tools/cli/worker_values.hpp"

namespace epulse::report {
namespace {

void add_workers(JsonLine& line, const Summary& summary, const StdioOptions& options) {
  line.key("workers").begin_array();
  for (const model::WorkerStats& worker : chosen_workers(summary.total(), options).workers) {
    line.begin_object();
    cli::add_worker(line, worker, summary.names());
    line.end_object();
  }
  line.end_array();
}

void add_timeline(JsonLine& line, const Timeline& timeline) {
  line.key("timeline").begin_array();
  for (const TimelineColumn& column : timeline.columns()) {
    line.begin_object().member("from_ns", column.from_ns).member("to_ns", column.to_ns);
    line.member("measured_ns", column.measured_ns).member("detailed_ns", column.detailed_ns);
    line.member("waits", column.all.waits()).member("events", column.all.events());
    cli::add_stages(line, column.all);
    line.end_object();
  }
  line.end_array();
}

void add_waits(JsonLine& line, const Summary& summary) {
  const WaitDigest& waits = summary.waits();
  line.key("single_waits").begin_object().member("count", waits.count);
  line.member("deep", waits.deep).member("late", waits.late).member("sampled", waits.sampled);
  const auto add = [&](const char* name, const std::optional<epoll_wait_record>& wait) {
    line.key(name);
    if (!wait) {
      line.value(std::monostate());
      return;
    }
    line.begin_object();
    cli::add_wait(line, *wait, summary.names());
    line.end_object();
  };
  add("deepest", waits.deepest);
  add("latest", waits.latest);
  line.end_object();
}

const char* name_of(Change change) {
  switch (change) {
    case Change::kNone:
      return "within_noise";
    case Change::kBeyondNoise:
      return "moved";
    case Change::kTooFewLooks:
      return "too_few_intervals";
  }
  return "";
}

}  // namespace

void add_file(JsonLine& line, const Read& file) {
  const record::RecordCondition& condition = file.condition;
  line.begin_object().member("path", file.path).member("whole", condition.whole());
  line.member("ended", condition.ended).member("file_bytes", condition.file_bytes);
  line.member("damaged_bytes", condition.damaged_bytes);
  line.member("damaged_places", condition.damaged_places).key("damages").begin_array();
  for (const record::Damage& damage : condition.damages) {
    line.begin_object().member("at", damage.at).member("bytes", damage.bytes).end_object();
  }
  line.end_array().end_object();
}

std::string report_json(const Read& file, const Summary& summary, const StdioOptions& options) {
  const model::EpollSnapshot& total = summary.total();
  JsonLine line("report");
  add_file(line.key("file"), file);
  line.key("meta").begin_object();
  for (const auto& [name, value] : summary.meta()) line.member(name, value);
  line.end_object().member("intervals", summary.intervals());
  line.member("duration_ns", total.duration_ns).member("detailed_ns", total.detailed_ns);
  cli::add_losses(line.key("losses"), total.losses);
  add_workers(line, summary, options);
  if (options.timeline) add_timeline(line, summary.timeline());
  add_waits(line, summary);
  return line.finish();
}

std::string differences_json(const Read& before, const Read& after,
                             const std::vector<Difference>& differences) {
  JsonLine line("differences");
  add_file(line.key("before"), before);
  add_file(line.key("after"), after);
  line.key("metrics").begin_array();
  for (const Difference& difference : differences) {
    line.begin_object().member("name", difference.metric);
    line.member("unit", difference.duration ? "ns" : "1");
    line.member("before", difference.before).member("after", difference.after);
    line.member("intervals_before", difference.looks_before);
    line.member("intervals_after", difference.looks_after);
    line.member("deviations", difference.deviations);
    line.member("change", name_of(difference.change)).end_object();
  }
  return line.end_array().finish();
}

}  // namespace epulse::report
