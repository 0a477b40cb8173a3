#include "server/access_log.hpp"

#include <fmt/format.h>
#include <spdlog/async.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/spdlog.h>

#include <filesystem>
#include <iterator>
#include <system_error>
#include <utility>

#include "server/error.hpp"

namespace epulse::server {
namespace {

constexpr std::size_t kQueuedLines = 8192;

std::string printable(const std::string& text) {
  std::string safe;
  for (const char c : text) {
    if (c > ' ' && c < 0x7F && c != '"' && c != '\\') {
      safe += c;
    } else {
      fmt::format_to(std::back_inserter(safe), "\\x{:02X}", static_cast<unsigned char>(c));
    }
  }
  return safe;
}

}  // namespace

std::string access_line(const AccessRecord& record) {
  const std::string peer = record.peer.empty() ? "-" : record.peer;
  std::string line = fmt::format("{} \"{} {}\" {} {:.6f}", peer, printable(record.method),
                                 printable(record.target), record.status,
                                 static_cast<double>(record.duration_ns) * 1e-9);
  if (record.status == 101) {
    fmt::format_to(std::back_inserter(line), " in={}/{} out={}/{} close={}", record.messages_in,
                   record.bytes_in, record.messages_out, record.bytes_out,
                   static_cast<int>(record.close_code));
  }
  return line;
}

AccessLog::AccessLog(std::string file)
    : file_(std::move(file)),
      pool_(std::make_shared<spdlog::details::thread_pool>(kQueuedLines, 1)),
      logger_(open()) {}

AccessLog::~AccessLog() {
  tell_dropped();
}

std::shared_ptr<spdlog::logger> AccessLog::open() const {
  // spdlog would make the directories, as root where a slip of the pen wants them.
  const std::filesystem::path dir = std::filesystem::path(file_).parent_path();
  std::error_code ignored;
  if (!dir.empty() && !std::filesystem::is_directory(dir, ignored)) {
    fail("cannot write the access log {}: there is no directory {}; create it first", file_,
         dir.string());
  }
  try {
    auto sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(file_);
    auto logger = std::make_shared<spdlog::async_logger>(
        "access", std::move(sink), pool_, spdlog::async_overflow_policy::overrun_oldest);
    logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %v");
    logger->flush_on(spdlog::level::info);
    return logger;
  } catch (const spdlog::spdlog_ex& error) {
    fail(
        "cannot write the access log: {}; --access-log wants a file in a directory that is there "
        "and writable",
        error.what());
  }
}

void AccessLog::write(const AccessRecord& record) {
  const std::string line = access_line(record);
  const std::lock_guard lock(mutex_);
  logger_->info(line);
}

void AccessLog::tell_dropped() {
  const std::size_t dropped = pool_->overrun_counter();
  if (dropped == told_dropped_) return;
  spdlog::warn(
      "the access log '{}' has dropped {} lines so far: its disk is slower than the clients; "
      "--access-log-sample writes fewer",
      file_, dropped);
  told_dropped_ = dropped;
}

void AccessLog::reopen() {
  tell_dropped();
  std::shared_ptr<spdlog::logger> fresh = open();
  const std::lock_guard lock(mutex_);
  logger_ = std::move(fresh);
}

}  // namespace epulse::server
