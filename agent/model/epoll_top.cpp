#include "agent/model/epoll_top.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace epulse::model {
namespace {

double mean(uint64_t sum, uint64_t count) {
  return count == 0 ? 0 : static_cast<double>(sum) / static_cast<double>(count);
}

}  // namespace

double EpollTopRow::depth_mean() const {
  return mean(depth_sum, depth_known);
}

double EpollTopRow::waiting_mean() const {
  return mean(waiting_sum, passes);
}

void EpollTop::add_pass(std::span<const epoll_list_record> records) {
  for (const epoll_list_record& record : records) {
    EpollTopRow& row = rows_[{record.tgid, record.epfd, record.epoll_id}];
    row.pid = record.user_tgid;
    row.name.assign(record.comm, strnlen(record.comm, sizeof(record.comm)));
    row.epfd = record.epfd;
    ++row.passes;
    row.waiting_sum += record.waiters;
    if (record.depth < 0) continue;
    const auto depth = static_cast<uint32_t>(record.depth);
    ++row.depth_known;
    row.depth_sum += depth;
    row.depth_max = std::max(row.depth_max, depth);
  }
}

std::vector<EpollTopRow> EpollTop::take() {
  std::vector<EpollTopRow> rows;
  rows.reserve(rows_.size());
  for (auto& [key, row] : rows_) rows.push_back(std::move(row));
  rows_.clear();
  std::stable_sort(rows.begin(), rows.end(), [](const EpollTopRow& a, const EpollTopRow& b) {
    return std::tuple(a.depth_max, a.depth_mean(), a.passes) >
           std::tuple(b.depth_max, b.depth_mean(), b.passes);
  });
  return rows;
}

}  // namespace epulse::model
