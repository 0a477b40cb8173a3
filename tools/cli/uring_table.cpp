#include "tools/cli/uring_table.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "agent/model/text.hpp"

namespace epulse::cli {
namespace {

using model::count_text;
using model::duration_text;

std::string user_label(const model::RingUserKey& key, const record::ThreadNames& names) {
  const auto name = names.find(key.tid);
  return fmt::format("{}[{}]", name == names.end() ? "?" : model::printable(name->second), key.tid);
}

std::string fd_text(int fd) {
  return fd < 0 ? "?" : fmt::format("{}", fd);
}

std::string p99_text(const model::Histogram& histogram) {
  return histogram.count() == 0 ? "-" : duration_text(histogram.quantile(0.99));
}

void print_losses(const model::UringLosses& losses) {
  if (losses.rings_dropped != 0) {
    fmt::print(" lost: {} events of rings beyond the table's size\n", losses.rings_dropped);
  }
  if (losses.users_dropped != 0) {
    fmt::print(" lost: {} io_uring events of threads beyond the table's size\n",
               losses.users_dropped);
  }
  if (losses.requests_dropped != 0) {
    fmt::print(" lost: the submission times of {} io_uring requests\n", losses.requests_dropped);
  }
  if (losses.runs_missed != 0) {
    fmt::print(
        " lost: {} io_uring events at most, other processes' included: the kernel runs no program "
        "that "
        "it has interrupted on the same CPU\n",
        losses.runs_missed);
  }
}

void print_distributions(const model::RingUserStats& user) {
  fmt::print("   {:22} {:>10} {:>9} {:>9} {:>9} {:>9} {:>9}\n", "stage", "count", "mean", "p50",
             "p90", "p99", "max");
  for (size_t i = 0; i < user.stages.size(); ++i) {
    const model::Histogram& stage = user.stages[i];
    if (stage.count() == 0) continue;
    fmt::print("   {:22} {:>10} {:>9} {:>9} {:>9} {:>9} {:>9}\n", model::kUringStageNames[i],
               stage.count(), duration_text(static_cast<uint64_t>(stage.mean())),
               duration_text(stage.quantile(0.5)), duration_text(stage.quantile(0.9)),
               duration_text(stage.quantile(0.99)), duration_text(stage.max()));
  }
  for (size_t i = 0; i < user.items.size(); ++i) {
    const model::Histogram& items = user.items[i];
    if (items.count() == 0) continue;
    fmt::print("   {:22} {:>10} {:>9.2f} {:>9} {:>9} {:>9} {:>9}\n", model::kUringItemsNames[i],
               items.count(), items.mean(), items.quantile(0.5), items.quantile(0.9),
               items.quantile(0.99), items.max());
  }
}

}  // namespace

void print_rings(const model::UringSnapshot& interval, const record::ThreadNames& names) {
  const bool any = std::any_of(interval.users.begin(), interval.users.end(),
                               [](const auto& user) { return user.active(); });
  if (any) {
    fmt::print(
        "         {:24} {:>4} {:13} {:>8} {:>8} {:>11} {:>11} {:>6} {:>8} {:>8} {:>8} {:>8}\n",
        "RING USER", "FD", "MODE", "SUBMIT/s", "CQES/s", "SQ P99/MAX", "CQ P99/MAX", "OVFLOW",
        "PUNTS/s", "SUB>CMP", "CMP>RET", "CMP>REAP");
  }
  const double seconds = static_cast<double>(interval.duration_ns) / 1e9;
  for (const model::RingUserStats& user : interval.users) {
    if (!user.active()) continue;
    const auto per_second = [&](uring_counter which) {
      return count_text(static_cast<double>(user.counters[which]) / seconds);
    };
    const auto occupancy = [&](uring_items which) {
      return fmt::format("{}/{}", user.items[which].quantile(0.99), user.items[which].max());
    };
    fmt::print(
        "         {:24} {:>4} {:13} {:>8} {:>8} {:>11} {:>11} {:>6} {:>8} {:>8} {:>8} {:>8}\n",
        user_label(user.key, names), fd_text(user.fd), model::ring_mode(user.setup_flags),
        per_second(URING_COUNTER_SUBMISSIONS), per_second(URING_COUNTER_COMPLETIONS),
        occupancy(URING_ITEMS_SQ), occupancy(URING_ITEMS_CQ_POSTED),
        user.counters[URING_COUNTER_OVERFLOWS], per_second(URING_COUNTER_PUNTS),
        p99_text(user.stages[URING_STAGE_SUBMIT_TO_COMPLETE]),
        p99_text(user.stages[URING_STAGE_COMPLETE_TO_RETURN]),
        p99_text(user.stages[URING_STAGE_COMPLETE_TO_REAP]));
  }
  print_losses(interval.losses);
}

void print_ring_summary(const model::UringSnapshot& total, const record::ThreadNames& names) {
  for (const model::RingUserStats& user : total.users) {
    if (!user.active()) continue;
    fmt::print("\n {}, ring fd {} ({}; SQ {}, CQ {} entries)\n", user_label(user.key, names),
               fd_text(user.fd), model::ring_mode(user.setup_flags), user.sq_entries,
               user.cq_entries);
    std::string line;
    for (size_t i = 0; i < user.counters.size(); ++i) {
      if (user.counters[i] == 0) continue;
      line += fmt::format("{}{} {}", line.empty() ? "" : ", ", user.counters[i],
                          model::kUringCounterNames[i]);
    }
    fmt::print("   {}\n", line);
    print_distributions(user);
  }
  print_losses(total.losses);
}

}  // namespace epulse::cli
