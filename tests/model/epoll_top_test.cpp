#include "agent/model/epoll_top.hpp"

#include <gtest/gtest.h>

#include <cstring>

namespace epulse::model {
namespace {

epoll_list_record record(uint32_t pid, int32_t epfd, int32_t depth, uint32_t waiters = 1) {
  epoll_list_record result{};
  result.epoll_id = 0xffff0000 + static_cast<uint64_t>(epfd);
  result.tgid = pid + 1000;  // as another pid namespace has it
  result.user_tgid = pid;
  result.epfd = epfd;
  result.depth = depth;
  result.waiters = waiters;
  strcpy(result.comm, "nginx");
  return result;
}

TEST(EpollTop, TheDeepestQueueFirst) {
  EpollTop top;
  top.add_pass(std::vector{record(1, 5, 0), record(1, 6, 61, 0), record(2, 5, 7)});
  top.add_pass(std::vector{record(1, 5, 509), record(1, 6, 61, 1), record(2, 5, 0)});
  const std::vector<EpollTopRow> rows = top.take();
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_EQ(rows[0].pid, 1U);
  EXPECT_EQ(rows[0].name, "nginx");
  EXPECT_EQ(rows[0].epfd, 5);
  EXPECT_EQ(rows[0].depth_max, 509U);
  EXPECT_EQ(rows[0].depth_mean(), 254.5);
  EXPECT_EQ(rows[1].depth_mean(), 61.0);
  EXPECT_EQ(rows[1].waiting_mean(), 0.5);
  EXPECT_EQ(rows[2].depth_max, 7U);
  EXPECT_TRUE(top.take().empty());
}

TEST(EpollTop, WhereTheDepthIsNotToldThePassDoesNotCount) {
  EpollTop top;
  top.add_pass(std::vector{record(1, 5, -1)});
  top.add_pass(std::vector{record(1, 5, 10)});
  top.add_pass(std::vector{record(2, 5, -1)});
  const std::vector<EpollTopRow> rows = top.take();
  EXPECT_EQ(rows.at(0).passes, 2U);
  EXPECT_EQ(rows.at(0).depth_known, 1U);
  EXPECT_EQ(rows.at(0).depth_mean(), 10.0);
  EXPECT_EQ(rows.at(1).depth_mean(), 0.0);
}

TEST(EpollTop, ADescriptorUsedAgainForAnotherInstanceIsAnotherRow) {
  EpollTop top;
  epoll_list_record later = record(1, 5, 3);
  later.epoll_id += 4096;
  top.add_pass(std::vector{record(1, 5, 2)});
  top.add_pass(std::vector{later});
  EXPECT_EQ(top.take().size(), 2U);
}

}  // namespace
}  // namespace epulse::model
