#include <fmt/format.h>
#include <unistd.h>

#include <cstring>
#include <optional>

#include "agent/error.hpp"
#include "agent/kernel/process.hpp"
#include "agent/model/text.hpp"
#include "agent/probes/epoll_list.hpp"
#include "agent/probes/plan.hpp"
#include "common/json_line.hpp"
#include "tools/cli/commands.hpp"
#include "tools/cli/output.hpp"

namespace epulse::cli {
namespace {

struct Row {
  pid_t pid = 0;
  std::string name;
  int epfd = -1;
  std::optional<int> watched;
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
    row.watched = kernel::watched_descriptors(row.pid, row.epfd);
    row.waiters = record.waiters;
    if (record.depth >= 0) row.depth = record.depth;
    rows.push_back(std::move(row));
  }
  return rows;
}

bool is_hidden(pid_t pid) {
  return access(fmt::format("{}/{}/fd", kernel::kProc, pid).c_str(), R_OK) != 0 && errno == EACCES;
}

// `hidden`: processes that only others may look at.
std::vector<Row> rows_from_procfs(size_t& hidden) {
  std::vector<Row> rows;
  for (const pid_t pid : kernel::all_pids()) {
    try {
      for (const auto& epoll : kernel::epoll_descriptors(pid)) {
        rows.push_back({pid, kernel::process_name(pid), epoll.fd, epoll.watched, {}, {}});
      }
    } catch (const Error&) {
      if (is_hidden(pid)) ++hidden;  // else gone
    }
  }
  return rows;
}

template <typename Number>
std::string known(const std::optional<Number>& value, const char* otherwise) {
  return value ? fmt::format("{}", *value) : otherwise;
}

void print(const std::vector<Row>& rows, bool json) {
  if (json) {
    for (const Row& row : rows) {
      JsonLine line("epoll");
      line.member("pid", row.pid).member("process", row.name).member("epfd", row.epfd);
      line.member("watched", row.watched).member("waiting", row.waiters);
      print_text(line.member("depth", row.depth).finish());
    }
    return;
  }
  fmt::print("{:>8} {:16} {:>5} {:>8} {:>8} {:>6}\n", "PID", "PROCESS", "EPFD", "WATCHED",
             "WAITING", "DEPTH");
  for (const Row& row : rows) {
    fmt::print("{:>8} {:16} {:>5} {:>8} {:>8} {:>6}\n", row.pid, model::printable(row.name),
               row.epfd, known(row.watched, "-"), known(row.waiters, "-"), known(row.depth, "-"));
  }
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
  size_t hidden = 0;
  if (!absent.empty()) rows = rows_from_procfs(hidden);
  print(rows, json);
  if (!absent.empty()) fmt::print(stderr, "epulse: waiting and depth are absent: {}\n", absent);
  if (hidden != 0) {
    fmt::print(stderr,
               "epulse: {} processes of other users are hidden: who is not root sees only their "
               "own\n",
               hidden);
  }
  return 0;
}

}  // namespace epulse::cli
