#include "server/access/token.hpp"

#include <gtest/gtest.h>

namespace epulse::server {
namespace {

constexpr std::string_view kKey = "an example of a shared key";
constexpr std::uint64_t kNow = 1'700'000'000;

TEST(Token, WhatWasIssuedIsAcceptedUntilItExpires) {
  const std::string token = issue_token("user-17", kNow + 60, kKey);
  EXPECT_EQ(verify_token(token, kKey, kNow).user, "user-17");
  EXPECT_EQ(verify_token(token, kKey, kNow + 59).user, "user-17");
  EXPECT_EQ(verify_token(token, kKey, kNow + 60).why, "expired");
}

// printf alice.1900000000 | openssl dgst -sha256 -hmac 'an example of a shared key' -binary |
//   basenc --base64url | tr -d =
TEST(Token, IsTheOneThatOpensslMakes) {
  EXPECT_EQ(issue_token("alice", 1'900'000'000, kKey),
            "alice.1900000000.KrkLGQP_CkteuSWBq8L46JPtAto1DRfA5sV-rM8xj6Q");
}

TEST(Token, EveryChangedCharacterIsNoticed) {
  const std::string token = issue_token("user-17", kNow + 60, kKey);
  for (std::size_t i = 0; i < token.size(); ++i) {
    std::string changed = token;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(verify_token(changed, kKey, kNow)) << i;
    EXPECT_FALSE(verify_token(token.substr(0, i), kKey, kNow)) << i;
  }
  EXPECT_EQ(verify_token(token, "another key", kNow).why, "wrong signature");
  EXPECT_FALSE(verify_token(token + "A", kKey, kNow));
}

TEST(Token, OnlyWhatIsWellFormedIsAcceptedHoweverWellSigned) {
  EXPECT_EQ(verify_token("", kKey, kNow).why, "no token");
  EXPECT_FALSE(verify_token("no-dots", kKey, kNow));
  EXPECT_FALSE(verify_token("one.dot", kKey, kNow));
  EXPECT_EQ(verify_token(issue_token("", kNow + 60, kKey), kKey, kNow).why, "bad user");
  EXPECT_EQ(verify_token(issue_token("a b", kNow + 60, kKey), kKey, kNow).why, "bad user");
  EXPECT_EQ(verify_token(issue_token(std::string(129, 'a'), kNow + 60, kKey), kKey, kNow).why,
            "bad user");
  // A dot in the user would move the border between user and expiry.
  EXPECT_EQ(verify_token(issue_token("a.b", kNow + 60, kKey), kKey, kNow).why, "bad expiry");
}

TEST(Token, IsFoundInTheFieldOrTheQuery) {
  EXPECT_EQ(token_of("Bearer a.1.x", "/"), "a.1.x");
  EXPECT_EQ(token_of("bearer a.1.x", "/?token=b.1.x"), "a.1.x");
  EXPECT_EQ(token_of("Basic a", "/?token=b.1.x"), "b.1.x");
  EXPECT_EQ(token_of({}, "/chat?room=1&token=b.1.x&z=2"), "b.1.x");
  EXPECT_EQ(token_of({}, "/?nottoken=b.1.x"), "");
  EXPECT_EQ(token_of({}, "/?"), "");
  EXPECT_EQ(token_of({}, "/token=b"), "");
}

}  // namespace
}  // namespace epulse::server
