#include "agent/model/verdict.hpp"

#include <fmt/format.h>

#include "agent/model/text.hpp"

namespace epulse::model {
namespace {

enum class Whose { kIdle, kNotMeasured, kScheduler, kApplication, kKernel };

struct Judgement {
  Whose whose = Whose::kIdle;
  const char* name = "idle";
  double percent = 0;                       // of the time
  epoll_stage stage = EPOLL_STAGE_HANDLER;  // that says so
};

Judgement judge(const WorkerStats& worker) {
  if (worker.counters[EPOLL_COUNTER_DELIVERIES] == 0) return {};
  const auto& stages = worker.stages;
  // Sums, since a share of the time is a question about totals. An event that becomes ready while
  // the thread is busy waits for the handler, so that wait is the application's too.
  const double scheduler = static_cast<double>(stages[EPOLL_STAGE_WOKEN_TO_RUNNING].sum());
  const double kernel = static_cast<double>(stages[EPOLL_STAGE_READY_TO_WOKEN].sum() +
                                            stages[EPOLL_STAGE_RUNNING_TO_DELIVERED].sum());
  const double application = static_cast<double>(stages[EPOLL_STAGE_HANDLER].sum());
  const double total = scheduler + kernel + application;
  if (total <= 0) return {Whose::kNotMeasured, "not measured", 0, EPOLL_STAGE_HANDLER};
  if (scheduler >= kernel && scheduler >= application) {
    return {Whose::kScheduler, "scheduler", 100 * scheduler / total, EPOLL_STAGE_WOKEN_TO_RUNNING};
  }
  if (application >= kernel) {
    return {Whose::kApplication, "application", 100 * application / total, EPOLL_STAGE_HANDLER};
  }
  return {Whose::kKernel, "kernel", 100 * kernel / total, EPOLL_STAGE_RUNNING_TO_DELIVERED};
}

std::string figure_text(const WorkerStats& worker, epoll_stage stage) {
  return fmt::format("{} p99 {}", kStageNames[stage],
                     duration_text(worker.stages[stage].quantile(0.99)));
}

}  // namespace

std::string verdict(const WorkerStats& worker) {
  const Judgement judgement = judge(worker);
  if (judgement.whose == Whose::kIdle) return judgement.name;
  if (judgement.whose == Whose::kNotMeasured) return "not measured: waits were only counted";
  return fmt::format("{} {:.0f} % of the time ({})", judgement.name, judgement.percent,
                     figure_text(worker, judgement.stage));
}

std::string short_verdict(const WorkerStats& worker, const std::vector<Blame>& blames,
                          uint64_t detailed_ns) {
  const Judgement judgement = judge(worker);
  if (judgement.whose == Whose::kIdle || judgement.whose == Whose::kNotMeasured) {
    return judgement.name;
  }
  const bool blamed = judgement.whose == Whose::kScheduler && !blames.empty();
  return fmt::format(
      "{} {:.0f} %: {}", judgement.name, judgement.percent,
      blamed ? "behind " + text_of(blames, detailed_ns, 1) : figure_text(worker, judgement.stage));
}

}  // namespace epulse::model
