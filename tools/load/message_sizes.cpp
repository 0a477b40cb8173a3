#include "tools/load/message_sizes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace epulse::load {
namespace {

constexpr std::uint32_t kMaxWeight = 1'000'000;

// The finish of SplitMix64 (Steele, Lea, Flood 2014): every bit of the result depends on every bit.
std::uint64_t mixed(std::uint64_t bits) {
  bits = (bits ^ bits >> 30U) * 0xBF58476D1CE4E5B9ULL;
  bits = (bits ^ bits >> 27U) * 0x94D049BB133111EBULL;
  return bits ^ bits >> 31U;
}

// A number at the front, which is removed; nothing when there is none, or one above `max`.
std::optional<std::uint32_t> take_number(std::string_view& text, std::uint32_t max) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || value > max) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

bool take_sign(std::string_view& text, char sign) {
  if (!text.starts_with(sign)) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

std::optional<MessageSizes> MessageSizes::parse(std::string_view text) {
  MessageSizes sizes;
  sizes.shares_.clear();
  sizes.weights_ = 0;
  do {
    const std::optional<std::uint32_t> from = take_number(text, kMaxBytes);
    const auto to = take_sign(text, '-') ? take_number(text, kMaxBytes) : from;
    const auto weight = take_sign(text, ':') ? take_number(text, kMaxWeight) : 1U;
    if (!from || !to || !weight || *to < *from || *weight == 0) return std::nullopt;
    sizes.shares_.push_back({*from, *to, *weight});
    sizes.weights_ += *weight;
  } while (take_sign(text, ','));
  if (!text.empty()) return std::nullopt;
  const Share& first = sizes.shares_.front();
  sizes.fixed_ = sizes.shares_.size() == 1 && first.from == first.to;
  sizes.fixed_bytes_ = first.from;
  return sizes;
}

std::uint32_t MessageSizes::draw(std::uint32_t connection, std::uint64_t sequence) const {
  const std::uint64_t bits = mixed(sequence << 24U ^ connection);
  std::uint64_t place = (bits & 0xFFFF'FFFFU) * weights_ >> 32U;
  std::size_t k = 0;
  for (; place >= shares_[k].weight; ++k) place -= shares_[k].weight;
  const std::uint64_t width = std::uint64_t{shares_[k].to} - shares_[k].from + 1;
  return shares_[k].from + static_cast<std::uint32_t>((bits >> 32U) * width >> 32U);
}

std::uint32_t MessageSizes::min() const {
  std::uint32_t least = kMaxBytes;
  for (const Share& share : shares_) least = std::min(least, share.from);
  return least;
}

std::uint32_t MessageSizes::max() const {
  std::uint32_t most = 0;
  for (const Share& share : shares_) most = std::max(most, share.to);
  return most;
}

double MessageSizes::mean() const {
  double sum = 0;
  for (const Share& share : shares_) {
    sum += (static_cast<double>(share.from) + share.to) / 2 * share.weight;
  }
  return sum / static_cast<double>(weights_);
}

std::string MessageSizes::text() const {
  std::string out;
  for (const Share& share : shares_) {
    out += fmt::format("{}{}", out.empty() ? "" : ",", share.from);
    if (share.to != share.from) out += fmt::format("-{}", share.to);
    if (share.weight != 1) out += fmt::format(":{}", share.weight);
  }
  return out;
}

}  // namespace epulse::load
