#include "tools/cli/recorder.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include "agent/model/socket_text.hpp"
#include "agent/model/text.hpp"

namespace epulse::cli {

Recorder::Recorder(const RecordOptions& options, const Target& target, probes::EpollProbe& probe,
                   PendingWaits& pending)
    : options_(options),
      target_(target),
      probe_(probe),
      pending_(pending),
      writer_(options.output, options.ring ? options.size_max : 0),
      control_(probe, options.budget_percent / 100),
      intervals_(probe.attached_ns()),
      // A command has the terminal for itself.
      on_terminal_(options.command.empty() && isatty(STDERR_FILENO) != 0) {}

void Recorder::start(const record::Meta& meta) {
  writer_.meta(meta);
}

void Recorder::take_waits() {
  probe_.consume();
  if (pending_.all().size() >= record::kWaitsInBlockMax) write_waits();
}

void Recorder::write_waits() {
  writer_.waits(pending_.all());
  waits_ += pending_.all().size();
  pending_.all().clear();
}

// Whose waits are all there may be laid beside its client's messages (report --join), and for that
// one must know which connection is whose.
void Recorder::write_connections(const model::EpollSnapshot& interval, bool last) {
  if (options_.sample_every != 1) return;
  const auto news = connections_.look(interval, last);
  // A ring's older files go; the one that was begun has them all.
  const bool begun = writer_.files() != files_;
  files_ = writer_.files();
  writer_.connections(interval.time_ns, begun ? connections_.given() : news);
}

void Recorder::interval_ends(bool more) {
  probe_.consume();
  model::EpollSnapshot interval = intervals_.advance(probe_.read());
  target_.limit(interval);
  add_names(interval, names_);
  writer_.interval(interval, names_);
  write_connections(interval, !more);
  write_waits();
  if (more) {
    control_.interval_ends(interval.time_ns);
  } else {
    control_.finish();
  }
  if (std::string text = text_of(control_.overhead()); text != overhead_) {
    overhead_ = std::move(text);
    writer_.meta({{"probes", overhead_}});
  }
  elapsed_ns_ += interval.duration_ns;
  waits_dropped_ += interval.losses.waits_dropped;
  for (const auto& worker : interval.workers) {
    deliveries_ += worker.counters[EPOLL_COUNTER_DELIVERIES];
  }
  if (on_terminal_ && more) show_progress();
}

bool Recorder::is_over() const {
  const bool full =
      !options_.ring && options_.size_max != 0 && writer_.bytes() >= options_.size_max;
  const bool late =
      options_.duration_s > 0 && static_cast<double>(elapsed_ns_) >= options_.duration_s * 1e9;
  return full || late;
}

std::string Recorder::amount_text() const {
  std::string text = fmt::format("{} deliveries and {} single waits over {}", deliveries_, waits_,
                                 model::duration_text(elapsed_ns_));
  if (waits_dropped_ != 0) text += fmt::format(" ({} single waits dropped)", waits_dropped_);
  return text;
}

void Recorder::show_progress() {
  fmt::print(stderr, "\r\033[Kepulse: {}, {}", amount_text(),
             model::bytes_text(static_cast<double>(writer_.bytes())));
}

void Recorder::finish() {
  writer_.finish();
  fmt::print(stderr, "{}epulse: {} recorded in {} ({} bytes){}\n", on_terminal_ ? "\r\033[K" : "",
             amount_text(), options_.output, writer_.bytes(),
             writer_.dropped_bytes() == 0
                 ? ""
                 : fmt::format("; the first {} have made room for what came later",
                               model::bytes_text(static_cast<double>(writer_.dropped_bytes()))));
}

}  // namespace epulse::cli
