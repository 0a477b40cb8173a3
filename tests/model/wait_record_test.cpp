#include "agent/model/wait_record.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

namespace epulse::model {
namespace {

TEST(WaitDecoder, CountsWhatIsTooShort) {
  epoll_wait_record wait{};
  wait.tid = 4711;
  wait.cpu = 3;
  std::string bytes(reinterpret_cast<const char*>(&wait), sizeof(wait));
  bytes += "of a later probe";
  WaitDecoder decoder;
  for (size_t size = 0; size <= bytes.size(); ++size) {
    const auto decoded = decoder.decode(bytes.data(), size);
    ASSERT_EQ(decoded.has_value(), size >= sizeof(wait)) << size;
    EXPECT_TRUE(!decoded || memcmp(&*decoded, &wait, sizeof(wait)) == 0) << size;
  }
  EXPECT_EQ(decoder.malformed(), sizeof(wait));
}

}  // namespace
}  // namespace epulse::model
