// A program of its own, since OpenSSL's allocator is the process's.
#include "server/tls/record_buffers.hpp"

#include <gtest/gtest.h>
#include <openssl/crypto.h>

#include <cstring>
#include <set>
#include <thread>
#include <vector>

namespace epulse::tls {
namespace {

constexpr std::size_t kRead = 16 * 1024 + 325;  // what OpenSSL 3.0 asks for
constexpr std::size_t kWrite = 16 * 1024 + 88;

class RecordBuffers : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { ASSERT_TRUE(keep_record_buffers()); }
};

TEST_F(RecordBuffers, AreGivenToTheNextWhicheverItIs) {
  void* const first = OPENSSL_malloc(kRead);
  OPENSSL_free(first);
  void* const second = OPENSSL_malloc(kWrite);
  EXPECT_EQ(second, first);
  std::memset(second, 1, kWrite);
  OPENSSL_free(second);
  void* const third = OPENSSL_malloc(20 * 1024);
  EXPECT_EQ(third, first);
  std::memset(third, 1, 20 * 1024);
  OPENSSL_free(third);
}

TEST_F(RecordBuffers, NobodyHasOneThatAnotherHas) {
  std::vector<void*> taken;
  for (int i = 0; i < 100; ++i) taken.push_back(OPENSSL_malloc(kRead));
  EXPECT_EQ(std::set(taken.begin(), taken.end()).size(), taken.size());
  for (void* memory : taken) OPENSSL_free(memory);
}

TEST_F(RecordBuffers, OtherSizesAreLeftAlone) {
  void* const kept = OPENSSL_malloc(kRead);
  OPENSSL_free(kept);
  EXPECT_EQ(OPENSSL_malloc(0), nullptr);
  for (const std::size_t bytes : {100U, 16383U, 20600U, 100000U}) {
    void* const other = OPENSSL_malloc(bytes);
    EXPECT_NE(other, kept) << bytes;
    std::memset(other, 1, bytes);
    OPENSSL_free(other);
  }
  void* const next = OPENSSL_malloc(kRead);
  EXPECT_EQ(next, kept);
  OPENSSL_free(next);
}

TEST_F(RecordBuffers, GrowAndShrinkAsAnyMemory) {
  auto* memory = static_cast<unsigned char*>(OPENSSL_realloc(nullptr, kRead));
  memory[kRead - 1] = 7;
  memory = static_cast<unsigned char*>(OPENSSL_realloc(memory, 50000));
  EXPECT_EQ(memory[kRead - 1], 7);
  memory = static_cast<unsigned char*>(OPENSSL_realloc(memory, 10));
  OPENSSL_free(memory);
}

// With the address sanitizer, what a thread leaves behind would be told.
TEST_F(RecordBuffers, OneThreadMayFreeWhatAnotherTook) {
  void* memory = nullptr;
  std::thread([&] { memory = OPENSSL_malloc(kRead); }).join();
  std::thread([&] {
    OPENSSL_free(memory);
    void* const again = OPENSSL_malloc(kRead);
    EXPECT_EQ(again, memory);
    OPENSSL_free(again);
  }).join();
}

}  // namespace
}  // namespace epulse::tls
