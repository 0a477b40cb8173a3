// A program of its own, since OpenSSL's allocator is the process's.
#include "server/tls/record_buffers.hpp"

#include <gtest/gtest.h>
#include <openssl/crypto.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "server/tls/context.hpp"
#include "tests/server/sanitizer.hpp"
#include "tests/server/tls_pair.hpp"

namespace epulse::tls {
namespace {

constexpr std::size_t kRead = 16 * 1024 + 325;  // what OpenSSL 3.0 asks for
constexpr std::size_t kWrite = 16 * 1024 + 88;
constexpr std::size_t kKept = 16;

void* take(std::size_t bytes) {
  void* const memory = OPENSSL_malloc(bytes);
  std::memset(memory, 1, bytes);
  return memory;
}

class RecordBuffers : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { replaced_ = keep_record_buffers(); }
  void SetUp() override {
    if (testing::has_sanitizer()) GTEST_SKIP() << "with a sanitizer, OpenSSL keeps its allocator";
    ASSERT_TRUE(replaced_);
  }

 private:
  static inline bool replaced_ = false;
};

TEST_F(RecordBuffers, AreGivenToTheNextWhicheverItIs) {
  void* const first = take(kRead);
  OPENSSL_free(first);
  // Whom malloc() would give the same, had it been given back.
  void* const stranger = std::malloc(kRead);
  EXPECT_NE(stranger, first);
  for (const std::size_t bytes : {kWrite, kRead, std::size_t{17} * 1024}) {
    void* const next = take(bytes);
    EXPECT_EQ(next, first) << bytes;
    OPENSSL_free(next);
  }
  std::free(stranger);
}

TEST_F(RecordBuffers, NobodyHasOneThatAnotherHas) {
  for (int round = 0; round < 2; ++round) {
    std::set<void*> taken;
    for (int i = 0; i < 100; ++i) EXPECT_TRUE(taken.insert(take(kRead)).second);
    EXPECT_EQ(kept_record_buffers(), 0U);
    for (void* memory : taken) OPENSSL_free(memory);
    EXPECT_EQ(kept_record_buffers(), kKept);
  }
}

TEST_F(RecordBuffers, OtherSizesAreLeftAlone) {
  OPENSSL_free(take(kRead));
  const std::size_t kept = kept_record_buffers();
  EXPECT_EQ(OPENSSL_malloc(0), nullptr);
  OPENSSL_free(nullptr);
  for (const std::size_t bytes : {100U, 16383U, 17U * 1024 + 100, 100000U}) {
    void* const other = take(bytes);
    EXPECT_EQ(kept_record_buffers(), kept) << bytes;
    OPENSSL_free(other);
    EXPECT_EQ(kept_record_buffers(), kept) << bytes;
  }
}

TEST_F(RecordBuffers, GrowAndShrinkAsAnyMemory) {
  OPENSSL_free(take(kRead));
  const std::size_t kept = kept_record_buffers();
  auto* memory = static_cast<unsigned char*>(OPENSSL_realloc(nullptr, kRead));
  EXPECT_EQ(kept_record_buffers(), kept - 1);
  memory[kRead - 1] = 7;
  memory = static_cast<unsigned char*>(OPENSSL_realloc(memory, 50000));
  EXPECT_EQ(memory[kRead - 1], 7);
  memory = static_cast<unsigned char*>(OPENSSL_realloc(memory, 10));
  EXPECT_EQ(OPENSSL_realloc(memory, 0), nullptr);
  EXPECT_EQ(kept_record_buffers(), kept - 1);
}

TEST_F(RecordBuffers, OneThreadMayFreeWhatAnotherTook) {
  const std::size_t kept = kept_record_buffers();
  void* memory = nullptr;
  std::thread([&] { memory = take(kRead); }).join();
  std::thread([&] {
    OPENSSL_free(memory);
    EXPECT_EQ(kept_record_buffers(), 1U);
    void* const again = take(kRead);
    EXPECT_EQ(again, memory);
    OPENSSL_free(again);
  }).join();
  EXPECT_EQ(kept_record_buffers(), kept);
}

// Of those that ask, the one that matters.
TEST_F(RecordBuffers, AreWhatATlsStreamTakes) {
  std::thread([] {  // which has none yet
    const testing::IdentityFiles files;
    const Context context(
        {.certificate_file = files.certificate(), .key_file = files.key(), .early_paths = {}});
    testing::MemoryClient client;
    testing::ServerEnd server(context);
    testing::exchange(client, server);
    ASSERT_EQ(server.stream.state(), Stream::State::kOpen) << server.stream.error();
    const std::size_t kept = kept_record_buffers();
    EXPECT_GE(kept, 2U);  // one to read and one to write
    client.write("twenty bytes of text");
    testing::exchange(client, server);
    EXPECT_EQ(server.plain, "twenty bytes of text");
    EXPECT_EQ(kept_record_buffers(), kept);
  })
      .join();
}

}  // namespace
}  // namespace epulse::tls
