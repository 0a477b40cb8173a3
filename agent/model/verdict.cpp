#include "agent/model/verdict.hpp"

#include <fmt/format.h>

#include "agent/model/text.hpp"

namespace epulse::model {

std::string verdict(const WorkerStats& worker) {
  if (worker.counters[EPOLL_COUNTER_DELIVERIES] == 0) return "idle";
  const auto& stages = worker.stages;
  // Sums, since a share of the time is a question about totals. An event that becomes ready while
  // the thread is busy waits for the handler, so that wait is the application's too.
  const double scheduler = static_cast<double>(stages[EPOLL_STAGE_WOKEN_TO_RUNNING].sum());
  const double kernel = static_cast<double>(stages[EPOLL_STAGE_READY_TO_WOKEN].sum() +
                                            stages[EPOLL_STAGE_RUNNING_TO_DELIVERED].sum());
  const double application = static_cast<double>(stages[EPOLL_STAGE_HANDLER].sum());
  const double total = scheduler + kernel + application;
  if (total <= 0) return "not measured: waits were only counted";
  const auto line = [&](const char* who, double share, epoll_stage stage) {
    return fmt::format("{} {:.0f} % of the time ({} p99 {})", who, 100 * share / total,
                       kStageNames[stage], duration_text(stages[stage].quantile(0.99)));
  };
  if (scheduler >= kernel && scheduler >= application) {
    return line("scheduler", scheduler, EPOLL_STAGE_WOKEN_TO_RUNNING);
  }
  if (application >= kernel) return line("application", application, EPOLL_STAGE_HANDLER);
  return line("kernel", kernel, EPOLL_STAGE_RUNNING_TO_DELIVERED);
}

}  // namespace epulse::model
