#include "tools/report/summary.hpp"

namespace epulse::report {
namespace {

constexpr size_t kNamesMax = 2 * model::EpollTotal::kWorkersMax;  // threads and processes

}  // namespace

void keep_names(record::ThreadNames& known, const record::ThreadNames& names) {
  for (const auto& [id, name] : names) {
    if (known.size() < kNamesMax || known.contains(id)) known[id] = name;
  }
}

void WaitDigest::add(const epoll_wait_record& wait) {
  ++count;
  deep += (wait.reasons & EPOLL_WAIT_DEEP) != 0 ? 1 : 0;
  late += (wait.reasons & EPOLL_WAIT_LATE) != 0 ? 1 : 0;
  sampled += (wait.reasons & EPOLL_WAIT_SAMPLED) != 0 ? 1 : 0;
  if (!deepest || wait.items[EPOLL_ITEMS_LISTED] > deepest->items[EPOLL_ITEMS_LISTED]) {
    deepest = wait;
  }
  if (!latest || wait.stage_ns[EPOLL_STAGE_WOKEN_TO_RUNNING] >
                     latest->stage_ns[EPOLL_STAGE_WOKEN_TO_RUNNING]) {
    latest = wait;
  }
}

void Summary::on_meta(const record::Meta& meta) {
  for (const auto& [key, value] : meta) meta_[key] = value;
}

void Summary::on_interval(const model::EpollSnapshot& interval, const record::ThreadNames& names) {
  keep_names(names_, names);
  total_.add(interval);
  timeline_.add(interval);
  ++intervals_;
}

void Summary::on_waits(std::span<const epoll_wait_record> waits) {
  for (const epoll_wait_record& wait : waits) waits_.add(wait);
}

}  // namespace epulse::report
