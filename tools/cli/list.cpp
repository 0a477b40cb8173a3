#include <fmt/format.h>

#include <cstring>
#include <optional>

#include "agent/error.hpp"
#include "agent/kernel/process.hpp"
#include "agent/model/text.hpp"
#include "agent/probes/epoll_list.hpp"
#include "agent/probes/plan.hpp"
#include "tools/cli/commands.hpp"

namespace epulse::cli {
namespace {

using model::json_text;

struct Row {
  pid_t pid = 0;
  std::string name;
  int epfd = -1;
  int watched = 0;
  std::optional<uint32_t> waiters;
  std::optional<int> depth;
};

std::vector<Row> rows_from_kernel(const kernel::Facts& facts) {
  std::vector<Row> rows;
  for (const epoll_list_record& record : probes::EpollLister(facts).read()) {
    Row row;
    row.pid = static_cast<pid_t>(record.user_tgid);
    row.name.assign(record.comm, strnlen(record.comm, sizeof(record.comm)));
    row.epfd = record.epfd;
    row.watched = kernel::watched_descriptors(row.pid, row.epfd).value_or(0);
    row.waiters = record.waiters;
    if (record.depth >= 0) row.depth = record.depth;
    rows.push_back(std::move(row));
  }
  return rows;
}

std::vector<Row> rows_from_procfs() {
  std::vector<Row> rows;
  for (const pid_t pid : kernel::all_pids()) {
    try {
      for (const auto& epoll : kernel::epoll_descriptors(pid)) {
        rows.push_back({pid, kernel::process_name(pid), epoll.fd, epoll.watched, {}, {}});
      }
    } catch (const Error&) {
      // Somebody else's process, or gone: not ours to list.
    }
  }
  return rows;
}

template <typename Number>
std::string known(const std::optional<Number>& value, const char* otherwise) {
  return value ? fmt::format("{}", *value) : otherwise;
}

}  // namespace

int run_list(bool json) {
  const kernel::Facts facts = kernel::detect();
  std::string absent;
  std::vector<Row> rows;
  if (facts.bpf_errno == 0 && facts.own_proc) {
    try {
      rows = rows_from_kernel(facts);
    } catch (const LoadError& error) {
      absent = error.what();
    }
  } else {
    absent = probes::plan(facts).why;
  }
  if (!absent.empty()) rows = rows_from_procfs();
  if (json) {
    for (const Row& row : rows) {
      fmt::print(
          R"({{"schema_version":1,"pid":{},"name":{},"epfd":{},"watched":{},"waiting":{},"depth":{}}})"
          "\n",
          row.pid, json_text(row.name), row.epfd, row.watched, known(row.waiters, "null"),
          known(row.depth, "null"));
    }
    return 0;
  }
  fmt::print("{:>8} {:16} {:>5} {:>8} {:>8} {:>6}\n", "PID", "PROCESS", "EPFD", "WATCHED",
             "WAITING", "DEPTH");
  for (const Row& row : rows) {
    fmt::print("{:>8} {:16} {:>5} {:>8} {:>8} {:>6}\n", row.pid, row.name, row.epfd, row.watched,
               known(row.waiters, "-"), known(row.depth, "-"));
  }
  if (!absent.empty()) fmt::print(stderr, "epulse: waiting and depth are absent: {}\n", absent);
  return 0;
}

}  // namespace epulse::cli
