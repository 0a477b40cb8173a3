#include <fmt/format.h>

#include <ctime>

#include "tools/cli/output.hpp"
#include "tools/cli/stat_output.hpp"
#include "tools/cli/worker_values.hpp"

namespace epulse::cli {
namespace {

class StatLines : public StatOutput {
 public:
  explicit StatLines(std::string separator) : separator_(std::move(separator)) {}

  // The names at once: who reads them knows that the probes are attached.
  void start(const std::string& /*title*/, const std::string& /*backend*/) override {
    print_text(names_line(values("", {}, {}, {}), separator_));
    flush_output();
  }
  void interval(const StatReport& report) override { print("interval", report); }
  void summary(const StatReport& report, const StatEnd& /*end*/) override {
    print("summary", report);
  }

 private:
  static NamedValues values(const std::string& type, const model::EpollSnapshot& of,
                            const model::WorkerStats& worker, const record::ThreadNames& names) {
    NamedValues values = {{"type", type},
                          {"time", static_cast<uint64_t>(time(nullptr))},
                          {"duration_ns", of.duration_ns},
                          {"detailed_ns", of.detailed_ns}};
    for (NamedValue& value : worker_values(worker, names)) values.push_back(std::move(value));
    return values;
  }

  void print(const std::string& type, const StatReport& report) const {
    for (const model::WorkerStats& worker : report.epoll.workers) {
      if (worker.waits() == 0) continue;
      print_text(values_line(values(type, report.epoll, worker, report.names), separator_));
    }
    flush_output();
  }

  std::string separator_;
};

}  // namespace

std::unique_ptr<StatOutput> make_stat_lines(const std::string& separator) {
  return std::make_unique<StatLines>(separator);
}

}  // namespace epulse::cli
