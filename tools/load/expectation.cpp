#include "tools/load/expectation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include "tools/load/duration_text.hpp"

namespace epulse::load {
namespace {

using Relation = Expectation::Relation;

// What is behind a number at the front.
std::optional<std::pair<double, std::string_view>> take_number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || !std::isfinite(value))
    return std::nullopt;  // "nan" is a number to it
  return std::pair{value, text.substr(static_cast<std::size_t>(end - text.data()))};
}

// The share of "p99.9"; nothing when it is no percentile.
std::optional<double> percentile_of(std::string_view name) {
  if (!name.starts_with('p')) return std::nullopt;
  const auto number = take_number(name.substr(1));
  if (!number || !number->second.empty()) return std::nullopt;
  if (number->first < 0 || number->first > 100) return std::nullopt;
  return number->first / 100;
}

bool is_duration(std::string_view name) {
  return name == "max" || name == "mean" || percentile_of(name);
}

// Its place among the kinds of errors; their number when it is none.
std::size_t error_kind(std::string_view name) {
  return static_cast<std::size_t>(std::find(kErrorNames.begin(), kErrorNames.end(), name) -
                                  kErrorNames.begin());
}

bool is_known(std::string_view name) {
  constexpr std::array<std::string_view, 4> kOthers = {"rate", "received", "errors", "unsound"};
  return is_duration(name) || error_kind(name) != kErrorNames.size() ||
         std::find(kOthers.begin(), kOthers.end(), name) != kOthers.end();
}

// In ns; nothing without a unit.
std::optional<double> parse_duration(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, double>, 4> kUnits = {
      {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}}};
  const auto number = take_number(text);
  if (!number) return std::nullopt;
  for (const auto& [unit, ns] : kUnits) {
    if (number->second == unit) return number->first * ns;
  }
  return std::nullopt;
}

std::optional<double> parse_plain(std::string_view text) {
  const auto number = take_number(text);
  return number && number->second.empty() ? std::optional(number->first) : std::nullopt;
}

// Of the whole and of each of several rates. A ramp's probes are there to find the limit.
std::size_t unsound_count(const Result& result) {
  std::size_t count = unsound_reasons(result).size();
  if (result.ramp) return count;
  for (const Result& step : result.steps) count += unsound_reasons(step).size();
  return count;
}

}  // namespace

std::optional<Expectation> parse_expectation(std::string_view text) {
  const std::size_t at = text.find_first_of("<>=");
  if (at == std::string_view::npos) return std::nullopt;
  const bool or_equal = text.substr(at + 1).starts_with('=');
  Expectation result;
  result.text = text;
  result.name = text.substr(0, at);
  if (!is_known(result.name)) return std::nullopt;
  switch (text[at]) {
    case '<':
      result.relation = or_equal ? Relation::kAtMost : Relation::kLess;
      break;
    case '>':
      result.relation = or_equal ? Relation::kAtLeast : Relation::kMore;
      break;
    default:
      result.relation = Relation::kEqual;
  }
  const std::string_view value = text.substr(at + (or_equal ? 2 : 1));
  const auto bound = is_duration(result.name) ? parse_duration(value) : parse_plain(value);
  if (!bound) return std::nullopt;
  result.bound = *bound;
  return result;
}

bool Expectation::bounds_latency() const {
  return is_duration(name) && (relation == Relation::kLess || relation == Relation::kAtMost);
}

std::optional<double> Expectation::percentile() const {
  return percentile_of(name);
}

double Expectation::measured(const Result& result) const {
  const Totals& totals = result.totals;
  if (const std::optional<double> share = percentile_of(name)) {
    return static_cast<double>(totals.latency.quantile_ns(*share));
  }
  if (name == "max") return static_cast<double>(totals.latency.max_ns);
  if (name == "mean") return totals.latency.mean_ns();
  if (name == "rate") return result.rate();
  if (name == "received") return static_cast<double>(totals.received);
  if (name == "errors") return static_cast<double>(totals.error_total());
  if (name == "unsound") return static_cast<double>(unsound_count(result));
  return static_cast<double>(totals.errors[error_kind(name)]);
}

bool Expectation::met(const Result& result) const {
  const double value = measured(result);
  // Of nothing that was received no latency can be said to be short.
  if (is_duration(name) && result.totals.latency.total() == 0) return false;
  switch (relation) {
    case Relation::kLess:
      return value < bound;
    case Relation::kAtMost:
      return value <= bound;
    case Relation::kEqual:
      return value == bound;
    case Relation::kAtLeast:
      return value >= bound;
    case Relation::kMore:
      return value > bound;
  }
  return false;
}

std::string Expectation::measured_text(const Result& result) const {
  const double value = measured(result);
  if (is_duration(name) && result.totals.latency.total() == 0) return "nothing";
  return is_duration(name) ? duration_text(static_cast<std::uint64_t>(value))
                           : fmt::format("{:g}", value);
}

}  // namespace epulse::load
