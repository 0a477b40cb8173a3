#include "tools/load/outputs.hpp"

#include <chrono>
#include <string>

#include "tools/load/hdr_format.hpp"
#include "tools/load/record_file.hpp"
#include "tools/load/report.hpp"
#include "tools/load/step_report.hpp"

namespace epulse::load {
namespace {

std::optional<OutputFile> create_if_named(const std::string& path, const std::string& purpose) {
  return path.empty() ? std::nullopt : std::optional<OutputFile>(std::in_place, path, purpose);
}

}  // namespace

Outputs::Outputs(const Options& options)
    : options_(options),
      hdr_log_(create_if_named(options.hdr_log_file, "the histogram log")),
      percentiles_(create_if_named(options.percentiles_file, "the percentiles")),
      record_(create_if_named(options.record_file, "the record")) {}

void Outputs::begin() {
  if (!hdr_log_) return;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const double now_s = std::chrono::duration<double>(now).count();
  hdr_log_->write(hdr_log_head("epulse-load " EPULSE_VERSION, now_s));
}

void Outputs::log(const Interval& interval) {
  if (!hdr_log_ || interval.latency.total() == 0) return;
  const double from_s = interval.end_s - interval.length_s;
  hdr_log_->write(hdr_log_line(from_s, interval.length_s, interval.latency));
}

void Outputs::interval(const Interval& interval) {
  log(interval);
  if (options_.progress_s > 0) {
    say(options_.json ? interval_json(interval) : interval_text(interval));
  }
}

void Outputs::remainder(const Interval& interval) {
  log(interval);
}

void Outputs::probe(const Result& result) {
  if (!options_.json) say("probe        " + step_text(result) + '\n');
}

void Outputs::finish(const Result& result, const std::vector<Recording*>& recordings) {
  say(options_.json ? summary_json(options_, result) : summary_text(options_, result));
  if (hdr_log_) hdr_log_->finish();
  if (percentiles_) {
    percentiles_->write(hdr_percentiles(result.totals.latency));
    percentiles_->finish();
  }
  if (record_) {
    const auto length_ns = static_cast<std::uint64_t>(result.elapsed_s * 1e9);
    write_record(*record_,
                 {options_.url, std::string(mode_name(options_)), result.start_ns,
                  result.start_ns + length_ns, result.realtime_offset_ns},
                 recordings);
    record_->finish();
  }
}

}  // namespace epulse::load
