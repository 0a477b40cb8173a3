#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace epulse::load {

// How long messages are: all the same, or so many bytes for a share of them, or anything between
// two numbers. Which of them message `sequence` of a connection has is fixed, though it looks
// random: so answers can be checked without keeping a list.
class MessageSizes {
 public:
  static constexpr std::uint32_t kMaxBytes = std::uint32_t{1} << 30U;

  MessageSizes() : MessageSizes(20) {}
  explicit MessageSizes(std::uint32_t bytes) : fixed_bytes_(bytes), shares_{{bytes, bytes, 1}} {}

  // "20", "20,16384", "64-1024", "20:90,1024-16384:10", where what follows the colon is a share
  // (1 unless given). Nothing when it is none of these, or above kMaxBytes.
  static std::optional<MessageSizes> parse(std::string_view text);

  std::uint32_t bytes(std::uint32_t connection, std::uint64_t sequence) const {
    return fixed_ ? fixed_bytes_ : draw(connection, sequence);
  }
  bool fixed() const { return fixed_; }
  std::uint32_t min() const;
  std::uint32_t max() const;
  double mean() const;
  // As parse() takes it.
  std::string text() const;

 private:
  struct Share {
    std::uint32_t from;
    std::uint32_t to;  // inclusive
    std::uint32_t weight;
  };

  std::uint32_t draw(std::uint32_t connection, std::uint64_t sequence) const;

  bool fixed_ = true;
  std::uint32_t fixed_bytes_;  // or those of the first share
  std::vector<Share> shares_;
  std::uint64_t weights_ = 1;  // of all shares
};

}  // namespace epulse::load
