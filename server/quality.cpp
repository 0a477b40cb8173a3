#include "server/quality.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace epulse::server {
namespace {

constexpr std::string_view kGreeting = "epulse-quality";

struct Field {
  std::string_view name;
  double QualityReport::*value;
  double good;  // up to here
  double bad;   // from here on
  double max;   // that makes sense
};

constexpr Field kFields[] = {
    {"rtt_ms", &QualityReport::rtt_ms, 100, 500, 1e9},
    {"loss", &QualityReport::loss, 0.001, 0.02, 1},
    {"buffered", &QualityReport::buffered_bytes, 16384, 262144, 1e15},
};

bool read_field(std::string_view word, QualityReport& report, unsigned& seen) {
  for (unsigned k = 0; k < std::size(kFields); ++k) {
    const Field& field = kFields[k];
    if (!word.starts_with(field.name) || word.substr(field.name.size(), 1) != "=") continue;
    const std::string_view text = word.substr(field.name.size() + 1);
    double value = -1;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool is_whole = error == std::errc{} && end == text.data() + text.size();
    if (!is_whole || !(value >= 0 && value <= field.max) || (seen & 1U << k) != 0) return false;
    seen |= 1U << k;
    report.*field.value = value;
    return true;
  }
  return false;
}

// 0 where it is good, 1 where it is bad, between them by its logarithm.
double badness(const Field& field, double value) {
  if (value <= field.good) return 0;
  return std::min(std::log(value / field.good) / std::log(field.bad / field.good), 1.0);
}

}  // namespace

std::optional<QualityReport> parse_quality(std::string_view text) {
  if (!text.starts_with(kGreeting)) return std::nullopt;
  text.remove_prefix(kGreeting.size());
  QualityReport report;
  unsigned seen = 0;
  while (!text.empty()) {
    if (text.front() != ' ') return std::nullopt;
    text.remove_prefix(1);
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(word.size());
    if (!read_field(word, report, seen)) return std::nullopt;
  }
  return report;
}

QualityLimits limits_for(const QualityReport& report) {
  double worst = 0;
  for (const Field& field : kFields) worst = std::max(worst, badness(field, report.*field.value));
  const auto halvings = static_cast<unsigned>(std::floor(worst * 3));
  return {65536U >> halvings, 30U - static_cast<unsigned>(std::lround(worst * 15))};
}

std::string limits_text(const QualityLimits& limits) {
  return fmt::format("epulse-limits max_message={} ping_s={}", limits.max_message_bytes,
                     limits.ping_interval_s);
}

}  // namespace epulse::server
