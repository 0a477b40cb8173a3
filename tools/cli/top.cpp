#include <fmt/format.h>
#include <unistd.h>

#include <memory>
#include <optional>

#include "agent/error.hpp"
#include "tools/cli/commands.hpp"
#include "tools/cli/output.hpp"
#include "tools/cli/target.hpp"
#include "tools/cli/terminal.hpp"
#include "tools/cli/top_source.hpp"
#include "tools/cli/watch.hpp"

namespace epulse::cli {
namespace {

constexpr size_t kRowsMax = 20;  // where there is no screen

// A table for a pipe, or for what stays on the terminal.
void print_view(const View& view, size_t most) {
  fmt::print("{}\n", view.title);
  for (const std::string& note : view.notes) fmt::print("{}\n", note);
  const auto size = terminal_size();
  const Layout layout(view.table, size ? std::optional(size->columns) : std::nullopt);
  for (const std::string& line : layout.head(view.table)) fmt::print("{}\n", line);
  const std::vector<const Row*> rows = select(view, {});
  for (size_t i = 0; i < std::min(most, rows.size()); ++i) {
    for (const std::string& line : layout.lines(view.table, *rows[i], wants_colours())) {
      fmt::print("{}\n", line);
    }
  }
  if (rows.size() > most) fmt::print("and {} more; -n shows more\n", rows.size() - most);
  fmt::print("\n");
}

// Why it is over: the user, or the count; or there is nobody left to watch.
enum class End { kLeft, kExited };

class Top {
 public:
  Top(const TopOptions& options, TopSource& source, Watch& watch)
      : options_(options), source_(source), watch_(watch) {}

  End print_lines() {
    for (uint64_t n = 0; !enough(n);) {
      switch (watch_.next()) {
        case Watch::Event::kTick:
          if (!source_.tick()) break;
          ++n;
          if (options_.json) {
            print_text(source_.json(options_.rows));
          } else {
            print_view(source_.view(), rows());
          }
          flush_output();
          if (source_.ended()) return End::kExited;
          break;
        case Watch::Event::kExited:
          return End::kExited;
        default:
          return End::kLeft;
      }
    }
    return End::kLeft;
  }

  End run_screen() {
    watch_.add_terminal(STDIN_FILENO);
    Terminal terminal;
    Screen screen(wants_colours());
    screen.show({.title = "waiting for the first interval", .notes = {}, .table = {}});
    bool changed = true;
    for (uint64_t n = 0; !enough(n);) {
      if (changed) terminal.draw(screen.lines(terminal_size().value_or(ScreenSize{})));
      changed = true;
      switch (watch_.next()) {
        case Watch::Event::kTick:
          changed = source_.tick();
          if (!changed) break;
          ++n;
          screen.show(source_.view());
          if (source_.ended()) return End::kExited;
          break;
        case Watch::Event::kInput:
          if (!press(screen, terminal.keys())) return End::kLeft;
          break;
        case Watch::Event::kSuspend:
          terminal.suspend();
          break;
        case Watch::Event::kResized:
          break;
        case Watch::Event::kExited:
          return End::kExited;
        case Watch::Event::kInterrupted:
          return End::kLeft;
      }
    }
    return End::kLeft;
  }

  size_t rows() const { return options_.rows == 0 ? kRowsMax : options_.rows; }

 private:
  bool enough(uint64_t intervals) const {
    return options_.count != 0 && intervals >= options_.count;
  }

  // False when the user wants to leave, or has hung up.
  static bool press(Screen& screen, const std::optional<std::vector<Key>>& keys) {
    if (!keys) return false;
    for (const Key& key : *keys) {
      if (!screen.press(key)) return false;
    }
    return true;
  }

  const TopOptions& options_;
  TopSource& source_;
  Watch& watch_;
};

}  // namespace

int run_top(const TopOptions& options) {
  const auto selector = selector_of(options.target);
  Watch watch;
  std::optional<Target> target;
  if (selector) target.emplace(*selector);
  if (target && target->single()) watch.add_process(target->pids()[0]);
  const std::unique_ptr<TopSource> source =
      target ? worker_source(options, *target, watch) : host_source(options, watch);
  Top top(options, *source, watch);
  const bool screen = !options.json && terminal_size() && isatty(STDIN_FILENO) != 0;
  const End end = screen ? top.run_screen() : top.print_lines();
  if (options.json) return 0;
  // What was on the screen's other page is gone; without a screen a target's run is summed up.
  if (screen || target) print_view(source->last_view(), top.rows());
  if (end == End::kExited) {
    fmt::print("# {}\n", target->single() ? "the process ended" : "all of them ended");
  }
  return 0;
}

}  // namespace epulse::cli
