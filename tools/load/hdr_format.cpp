#include "tools/load/hdr_format.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <zlib.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <iterator>

#include "tools/load/error.hpp"

namespace epulse::load {
namespace {

// The upper half of the lowest byte says how wide counts are: 1 for the variable width of V2.
constexpr std::uint32_t kEncodedCookie = 0x1C849313;
constexpr std::uint32_t kCompressedCookie = 0x1C849314;
constexpr std::uint64_t kHighestTrackable = (std::uint64_t{1} << kMaxBits) - 1;
constexpr int kBuckets = kMaxBits - kExactBits + 1;
constexpr double kNsPerMs = 1e6;

template <typename Integer>
void put(std::vector<std::uint8_t>& out, Integer value) {
  for (int shift = sizeof value * 8 - 8; shift >= 0; shift -= 8) {
    out.push_back(static_cast<std::uint8_t>(value >> static_cast<unsigned>(shift)));
  }
}

// As long as the value is below 2^55, which a count is.
void put_zigzag(std::vector<std::uint8_t>& out, std::int64_t value) {
  std::uint64_t bits = static_cast<std::uint64_t>(value) << 1U;
  if (value < 0) bits = ~bits;
  for (; bits >= 0x80U; bits >>= 7U) out.push_back(static_cast<std::uint8_t>(bits | 0x80U));
  out.push_back(static_cast<std::uint8_t>(bits));
}

std::size_t used_slots(const Distribution& latency) {
  std::size_t used = kSlots;
  while (used > 0 && latency.counts[used - 1] == 0) --used;
  return used;
}

std::vector<std::uint8_t> encode_counts(const Distribution& latency) {
  std::vector<std::uint8_t> out;
  const auto end = latency.counts.begin() + static_cast<std::ptrdiff_t>(used_slots(latency));
  for (auto slot = latency.counts.begin(); slot != end;) {
    const auto filled = std::find_if(slot, end, [](std::uint64_t count) { return count != 0; });
    const std::int64_t empty = filled - slot;
    // A lone empty slot is a count of 0.
    if (empty != 0) put_zigzag(out, empty == 1 ? 0 : -empty);
    if (filled != end) put_zigzag(out, static_cast<std::int64_t>(*filled));
    slot = filled == end ? end : filled + 1;
  }
  return out;
}

std::string base64(const std::vector<std::uint8_t>& bytes) {
  std::vector<std::uint8_t> text((bytes.size() + 2) / 3 * 4 + 1);  // with a final NUL
  const int size = EVP_EncodeBlock(text.data(), bytes.data(), static_cast<int>(bytes.size()));
  return {text.begin(), text.begin() + size};
}

double deviation_ns(const Distribution& latency, double mean_ns) {
  double sum = 0;
  for (std::size_t slot = 0; slot < kSlots; ++slot) {
    const double distance = slot_middle_ns(slot) - mean_ns;
    sum += static_cast<double>(latency.counts[slot]) * distance * distance;
  }
  return std::sqrt(sum / static_cast<double>(std::max<std::uint64_t>(latency.total(), 1)));
}

// The percentiles at which a line is due, of HdrHistogram's PercentileIterator.
class Levels {
 public:
  double now() const { return level_; }
  void next() {
    const double halvings = std::floor(std::log2(100 / (100 - level_))) + 1;
    level_ += 100 / (kPerHalving * std::exp2(halvings));
  }

 private:
  static constexpr double kPerHalving = 5;
  double level_ = 0;
};

}  // namespace

std::vector<std::uint8_t> hdr_encode(const Distribution& latency) {
  const std::vector<std::uint8_t> counts = encode_counts(latency);
  std::vector<std::uint8_t> out;
  put(out, kEncodedCookie);
  put(out, static_cast<std::uint32_t>(counts.size()));
  put(out, std::uint32_t{0});  // offset of the first slot
  put(out, static_cast<std::uint32_t>(kSignificantDigits));
  put(out, std::uint64_t{1});  // the lowest value told from zero
  put(out, kHighestTrackable);
  put(out, std::bit_cast<std::uint64_t>(1.0));  // by what doubles were multiplied
  out.insert(out.end(), counts.begin(), counts.end());
  return out;
}

std::string hdr_compressed(const Distribution& latency) {
  const std::vector<std::uint8_t> plain = hdr_encode(latency);
  uLongf size = compressBound(plain.size());
  std::vector<std::uint8_t> deflated(size);
  if (compress(deflated.data(), &size, plain.data(), plain.size()) != Z_OK) {
    fail("cannot compress a histogram of {} bytes: zlib has no memory", plain.size());
  }
  std::vector<std::uint8_t> out;
  put(out, kCompressedCookie);
  put(out, static_cast<std::uint32_t>(size));
  out.insert(out.end(), deflated.begin(), deflated.begin() + static_cast<std::ptrdiff_t>(size));
  return base64(out);
}

std::string hdr_log_head(std::string_view made_by, double start_s) {
  return fmt::format(
      "#[{}]\n#[Histogram log format version 1.3]\n"
      "#[StartTime: {:.3f} (seconds since epoch)]\n"
      "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n",
      made_by, start_s);
}

std::string hdr_log_line(double from_s, double length_s, const Distribution& latency) {
  return fmt::format("{:.3f},{:.3f},{:.3f},{}\n", from_s, length_s,
                     static_cast<double>(latency.max_ns) / kNsPerMs, hdr_compressed(latency));
}

std::string hdr_percentiles(const Distribution& latency) {
  std::string out = fmt::format("{:>12} {:>14} {:>10} {:>14}\n\n", "Value", "Percentile",
                                "TotalCount", "1/(1-Percentile)");
  auto append = std::back_inserter(out);
  const std::uint64_t total = latency.total();
  std::uint64_t seen = 0;
  std::size_t last = 0;
  Levels level;
  for (std::size_t slot = 0; seen < total; ++slot) {
    if (latency.counts[slot] == 0) continue;
    seen += latency.counts[slot];
    last = slot;
    // All lines that fall into this slot, but the last of all is the hundredth.
    for (; 100.0 * static_cast<double>(seen) / static_cast<double>(total) >= level.now();
         level.next()) {
      fmt::format_to(append, "{:12.3f} {:2.12f} {:10} {:14.2f}\n",
                     static_cast<double>(slot_last_ns(slot)) / kNsPerMs, level.now() / 100, seen,
                     1 / (1 - level.now() / 100));
      if (seen == total) break;
    }
  }
  const double max_ms = static_cast<double>(total == 0 ? 0 : slot_last_ns(last)) / kNsPerMs;
  if (total != 0) fmt::format_to(append, "{:12.3f} {:2.12f} {:10}\n", max_ms, 1.0, total);
  const double mean_ns = latency.mean_ns();
  fmt::format_to(append,
                 "#[Mean    = {:12.3f}, StdDeviation   = {:12.3f}]\n"
                 "#[Max     = {:12.3f}, Total count    = {:12}]\n"
                 "#[Buckets = {:12}, SubBuckets     = {:12}]\n",
                 mean_ns / kNsPerMs, deviation_ns(latency, mean_ns) / kNsPerMs, max_ms, total,
                 kBuckets, 1U << kExactBits);
  return out;
}

}  // namespace epulse::load
