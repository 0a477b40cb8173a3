// What `epulse top` shows, and how it answers to keys, without a terminal.
#include "tools/cli/screen.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "agent/model/text.hpp"
#include "common/json_line.hpp"
#include "tools/cli/named_values.hpp"
#include "tools/cli/worker_table.hpp"

namespace epulse::cli {
namespace {

View view_of(size_t workers) {
  model::EpollSnapshot interval;
  interval.duration_ns = interval.detailed_ns = 1'000'000'000;
  record::ThreadNames names;
  for (uint32_t i = 0; i < workers; ++i) {
    model::WorkerStats& worker = interval.workers.emplace_back();
    worker.key = {1, 4711 + i, 9, 1, 4711};
    worker.counters[EPOLL_COUNTER_WAITS] = 10;
    worker.counters[EPOLL_COUNTER_DELIVERIES] = 10;
    worker.items[EPOLL_ITEMS_BATCH].record(3);
    worker.items[EPOLL_ITEMS_LISTED].record(i == 1 ? 600 : 7);
    worker.stages[EPOLL_STAGE_READY_TO_DELIVERED].record(uint64_t{1000} * (i + 1));
    worker.stages[EPOLL_STAGE_WOKEN_TO_RUNNING].record(i == 0 ? 4'000'000 : 20'000);
    worker.stages[EPOLL_STAGE_HANDLER].record(30'000);
    names[4711 + i] = fmt::format("worker-{}", i);
  }
  const std::map<uint32_t, std::vector<model::Blame>> blames = {
      {4711, {{4711, 99, "gz\033ip", 38'000'000, 1}}}};
  View view;
  view.title = "# workers";
  view.table =
      worker_table(WorkerColumns::kTop, {.interval = interval, .names = names, .blames = &blames});
  view.sorted_by = worst_column(view.table);
  return view;
}

std::string text_of(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + '\n';
  return text;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

Key key(char c) {
  return {Key::kCharacter, c};
}

TEST(Screen, KeepsToEverySize) {
  for (const size_t workers : {0U, 1U, 500U}) {
    Screen screen(false);
    screen.show(view_of(workers));
    for (const ScreenSize size : {ScreenSize{24, 80}, {1, 1}, {2, 200}, {60, 40}, {50, 250}}) {
      const auto lines = screen.lines(size);
      EXPECT_EQ(lines.size(), size.rows);
      for (const std::string& line : lines) {
        EXPECT_LE(model::text_width(line), size.columns) << line;
      }
    }
  }
}

TEST(Screen, EightyColumnsHaveAllFiveStagesAndTheVerdictBelow) {
  Screen screen(false);
  screen.show(view_of(1));
  const std::string text = text_of(screen.lines({24, 80}));
  EXPECT_TRUE(contains(text, "worker-0[4711]")) << text;
  EXPECT_TRUE(contains(text, ">woken   >run   >dlv   >dlv     p99")) << text;
  EXPECT_TRUE(contains(text, "4.00ms")) << text;
  EXPECT_TRUE(contains(text, "\n    scheduler 99 %: behind gz\\x1bip[99] 38.0 ms/s")) << text;
}

TEST(Screen, WhereThereIsRoomTheVerdictIsBeside) {
  Screen screen(false);
  screen.show(view_of(1));
  EXPECT_TRUE(contains(screen.lines({24, 200}).at(3), "ms/s")) << text_of(screen.lines({24, 200}));
}

TEST(Screen, SortsByTheWorstAndAsKeysSay) {
  Screen screen(false);
  screen.show(view_of(3));
  EXPECT_TRUE(contains(screen.lines({24, 200})[3], "worker-2"));
  screen.press(key('r'));
  EXPECT_TRUE(contains(screen.lines({24, 200})[3], "worker-0"));
  screen.press({Key::kLeft});  // from ready to delivered to running to delivered
  screen.press({Key::kLeft});  // to woken to running
  EXPECT_TRUE(contains(screen.lines({24, 200})[3], "worker-0"));
  EXPECT_TRUE(contains(text_of(screen.lines({24, 200})), "by woken >run"));
}

TEST(Screen, FilterTakesWhatIsTypedUntilEnter) {
  Screen screen(false);
  screen.show(view_of(3));
  for (const char c : std::string("/R-1q")) EXPECT_TRUE(screen.press(key(c)));
  screen.press({Key::kBackspace});
  screen.press({Key::kEnter});
  const std::string text = text_of(screen.lines({24, 200}));
  EXPECT_TRUE(contains(text, "worker-1") && !contains(text, "worker-2")) << text;
  EXPECT_TRUE(contains(text, "1-1 of 1")) << text;
  screen.press({Key::kEscape});
  EXPECT_TRUE(contains(text_of(screen.lines({24, 200})), "worker-2"));
}

TEST(Screen, FrozenItIgnoresNewViews) {
  Screen screen(false);
  screen.show(view_of(1));
  screen.press(key(' '));
  screen.show(view_of(2));
  EXPECT_FALSE(contains(text_of(screen.lines({24, 200})), "worker-1"));
  EXPECT_TRUE(contains(text_of(screen.lines({24, 200})), "FROZEN"));
  screen.press(key(' '));
  screen.show(view_of(2));
  EXPECT_TRUE(contains(text_of(screen.lines({24, 200})), "worker-1"));
}

TEST(Screen, FiveHundredThreadsCanBeScrolledThrough) {
  Screen screen(false);
  screen.show(view_of(500));
  EXPECT_TRUE(contains(text_of(screen.lines({24, 80})), "1-10 of 500"));
  screen.press({Key::kPageDown});
  EXPECT_TRUE(contains(text_of(screen.lines({24, 80})), "11-20 of 500"));
  screen.press({Key::kEnd});
  EXPECT_TRUE(contains(text_of(screen.lines({24, 80})), "500-500 of 500"));
}

TEST(Screen, HelpAndQuit) {
  Screen screen(false);
  screen.show(view_of(1));
  EXPECT_TRUE(screen.press(key('h')));
  EXPECT_TRUE(contains(text_of(screen.lines({24, 80})), "freeze"));
  EXPECT_TRUE(screen.press(key('x')));
  EXPECT_FALSE(contains(text_of(screen.lines({24, 80})), "freeze, and"));
  EXPECT_FALSE(screen.press(key('q')));
}

TEST(Screen, AlarmingFiguresStandOutOnlyInColour) {
  Screen plain(false);
  plain.show(view_of(2));
  EXPECT_FALSE(contains(text_of(plain.lines({24, 80})), "\033"));
  Screen coloured(true);
  coloured.show(view_of(2));
  const std::string text = text_of(coloured.lines({24, 80}));
  EXPECT_TRUE(contains(text, "\033[33;1m4.00ms\033[0m")) << text;
  EXPECT_TRUE(contains(text, "\033[33;1m  600\033[0m")) << text;
}

TEST(Screen, Keys) {
  const std::vector<Key> expected = {
      {Key::kUp}, {Key::kHome}, {Key::kPageDown}, key('q'), {Key::kEnter}};
  EXPECT_EQ(parse_keys("\033[A\033[1~\033[6~\033[1;5Pq\r"), expected);
  EXPECT_EQ(parse_keys("\033"), std::vector<Key>{{Key::kEscape}});
  EXPECT_EQ(parse_keys("\033["), std::vector<Key>{});
}

TEST(Names, ControlCharactersNeverReachATerminal) {
  EXPECT_EQ(model::printable("a\033[2J\x9b\xc2\x9b\x7f\n"), "a\\x1b[2J\\x9b\\xc2\\x9b\\x7f\\x0a");
  EXPECT_EQ(model::printable("gr\xc3\xb6\xc3\x9f"), "gr\xc3\xb6\xc3\x9f");
  EXPECT_EQ(json_text("\xff\xc0\xaf"), "\"\\ufffd\\ufffd\\ufffd\"");
  EXPECT_EQ(model::text_width("gr\xc3\xb6"), 3U);
  EXPECT_EQ(model::text_start("gr\xc3\xb6\xc3\x9f", 3), "gr\xc3\xb6");
}

// Anybody may give a thread such a name, and root looks at it on a terminal.
TEST(NamedValues, NamesReachTheTerminalHarmless) {
  const NamedValues values = {{"thread", std::string("\x1b]0;x\x07")},
                              {"process", std::string("a,\"b\"")}};
  EXPECT_EQ(values_line(values, ","), "\\x1b]0;x\\x07,\"a,\"\"b\"\"\"\n");
}

}  // namespace
}  // namespace epulse::cli
