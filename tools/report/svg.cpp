#include "tools/report/svg.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "agent/model/text.hpp"

namespace epulse::report {
namespace {

using model::duration_text;

constexpr double kWidth = 960;
constexpr double kHeight = 230;
constexpr double kLeft = 70;
constexpr double kRight = 10;
constexpr double kTop = 8;
constexpr double kBottom = 24;
constexpr double kPlotWidth = kWidth - kLeft - kRight;
constexpr double kPlotHeight = kHeight - kTop - kBottom;
constexpr size_t kShades = 8;
constexpr int kTimeTicks = 6;

// Half octaves: fine enough to see two modes, coarse enough to have a colour.
constexpr size_t kBins = 2 * EPULSE_NS_MAX_BITS + 1;
using Bins = std::array<uint64_t, kBins>;

size_t bin_of(uint64_t ns) {
  return ns < 2 ? 0 : static_cast<size_t>(2 * std::log2(static_cast<double>(ns)) + 1e-9);
}

double bin_low_ns(size_t bin) {
  return std::exp2(static_cast<double>(bin) / 2);
}

Bins bins_of(const model::Histogram& histogram) {
  Bins bins{};
  for (uint32_t slot = 0; slot < histogram.slots().size(); ++slot) {
    bins[std::min(bin_of(histogram.shape().low(slot)), kBins - 1)] += histogram.slots()[slot];
  }
  return bins;
}

// From time to picture.
class TimeAxis {
 public:
  explicit TimeAxis(const std::vector<TimelineColumn>& columns) {
    from_ns_ = columns.empty() ? 0 : columns[0].from_ns;
    uint64_t to_ns = from_ns_;
    for (const TimelineColumn& column : columns) {
      from_ns_ = std::min(from_ns_, column.from_ns);
      to_ns = std::max(to_ns, column.to_ns);
    }
    span_ns_ = std::max<uint64_t>(to_ns - from_ns_, 1);
  }
  double x(uint64_t time_ns) const {
    return kLeft +
           kPlotWidth * static_cast<double>(time_ns - from_ns_) / static_cast<double>(span_ns_);
  }
  std::string ticks() const {
    std::string svg;
    for (int tick = 0; tick <= kTimeTicks; ++tick) {
      const double share = static_cast<double>(tick) / kTimeTicks;
      svg +=
          fmt::format(R"(<text class="tick" x="{:.1f}" y="{}" text-anchor="{}">{}</text>)",
                      kLeft + kPlotWidth * share, kHeight - 8,
                      tick == 0            ? "start"
                      : tick == kTimeTicks ? "end"
                                           : "middle",
                      duration_text(static_cast<uint64_t>(static_cast<double>(span_ns_) * share)));
    }
    return svg;
  }
  // What a pointer over the column is told.
  std::string column(const TimelineColumn& at, std::string_view text) const {
    return fmt::format(
        R"(<rect class="hover" x="{:.1f}" y="{}" width="{:.1f}" height="{}"><title>{} to {}: {}</title></rect>)",
        x(at.from_ns), kTop, std::max(x(at.to_ns) - x(at.from_ns), 0.5), kPlotHeight,
        duration_text(at.from_ns - from_ns_), duration_text(at.to_ns - from_ns_), text);
  }

 private:
  uint64_t from_ns_ = 0;
  uint64_t span_ns_ = 1;
};

std::string open_chart(std::string_view id, std::string_view title) {
  return fmt::format(
      R"(<svg id="{}" class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">)",
      html_escape(id), kWidth, kHeight, html_escape(title));
}

std::string y_tick(double y, std::string_view text) {
  return fmt::format(R"(<text class="tick" x="{}" y="{:.1f}" text-anchor="end">{}</text>)",
                     kLeft - 6, y + 4, text) +
         fmt::format(R"(<path class="grid" d="M{} {:.1f}h{}"/>)", kLeft, y, kPlotWidth);
}

// 1us, 10us, ... between two bins.
std::string decades(size_t first, size_t last) {
  std::string svg;
  const double height = kPlotHeight / static_cast<double>(last - first + 1);
  for (double ns = 1; ns < bin_low_ns(kBins); ns *= 10) {
    const double at = 2 * std::log2(ns) - static_cast<double>(first);
    if (at < 0 || at > static_cast<double>(last - first + 1)) continue;
    svg += y_tick(kTop + kPlotHeight - at * height, duration_text(static_cast<uint64_t>(ns)));
  }
  return svg;
}

// The scale is logarithmic: one late event in 10,000 is what one is looking for.
size_t shade_of(uint64_t count, uint64_t most) {
  if (most < 2) return kShades - 1;
  const double share =
      std::log1p(static_cast<double>(count)) / std::log1p(static_cast<double>(most));
  return std::min(static_cast<size_t>(share * kShades), kShades - 1);
}

std::string line_of(const TimeAxis& axis, const std::vector<TimelineColumn>& columns,
                    const std::vector<uint64_t>& values, uint64_t top, std::string_view css) {
  std::string points;
  for (size_t i = 0; i < columns.size(); ++i) {
    const double y = kTop + kPlotHeight * (1 - static_cast<double>(values[i]) /
                                                   static_cast<double>(std::max<uint64_t>(top, 1)));
    points += fmt::format("{:.1f},{:.1f} {:.1f},{:.1f} ", axis.x(columns[i].from_ns), y,
                          axis.x(columns[i].to_ns), y);
  }
  return fmt::format(R"(<polyline class="{}" points="{}"/>)", css, points);
}

}  // namespace

std::string html_escape(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

std::string heat_map_svg(std::string_view id, std::string_view title,
                         const std::vector<TimelineColumn>& columns, epoll_stage stage) {
  std::vector<Bins> all;
  size_t first = kBins;
  size_t last = 0;
  uint64_t most = 0;
  for (const TimelineColumn& column : columns) {
    const Bins& bins = all.emplace_back(bins_of(column.all.stages[stage]));
    for (size_t bin = 0; bin < kBins; ++bin) {
      if (bins[bin] == 0) continue;
      first = std::min(first, bin);
      last = std::max(last, bin);
      most = std::max(most, bins[bin]);
    }
  }
  if (most == 0) return {};
  const TimeAxis axis(columns);
  const double height = kPlotHeight / static_cast<double>(last - first + 1);
  // One path for each shade: thousands of cells stay small.
  std::array<std::string, kShades> cells;
  for (size_t i = 0; i < columns.size(); ++i) {
    const double x = axis.x(columns[i].from_ns);
    const double width = std::max(axis.x(columns[i].to_ns) - x, 0.5);
    for (size_t bin = first; bin <= last; ++bin) {
      if (all[i][bin] == 0) continue;
      const double y = kTop + kPlotHeight - height * static_cast<double>(bin - first + 1);
      cells[shade_of(all[i][bin], most)] +=
          fmt::format("M{:.1f} {:.1f}h{:.1f}v{:.1f}h-{:.1f}z", x, y, width, height, width);
    }
  }
  std::string svg = open_chart(id, title) + decades(first, last);
  for (size_t shade = 0; shade < kShades; ++shade) {
    if (!cells[shade].empty()) {
      svg += fmt::format(R"(<path class="h{}" d="{}"/>)", shade, cells[shade]);
    }
  }
  for (const TimelineColumn& column : columns) {
    const model::Histogram& histogram = column.all.stages[stage];
    svg += axis.column(column, fmt::format("{} events, p50 {}, p99 {}, max {}", histogram.count(),
                                           duration_text(histogram.quantile(0.5)),
                                           duration_text(histogram.quantile(0.99)),
                                           duration_text(histogram.max())));
  }
  return svg + axis.ticks() + "</svg>\n";
}

std::string depth_svg(std::string_view id, const std::vector<TimelineColumn>& columns) {
  std::vector<uint64_t> p50;
  std::vector<uint64_t> p99;
  std::vector<uint64_t> max;
  for (const TimelineColumn& column : columns) {
    const model::Histogram& depth = column.all.items[EPOLL_ITEMS_LISTED];
    p50.push_back(depth.quantile(0.5));
    p99.push_back(depth.quantile(0.99));
    max.push_back(depth.max());
  }
  const uint64_t top = max.empty() ? 0 : *std::max_element(max.begin(), max.end());
  if (top == 0) return {};
  const TimeAxis axis(columns);
  std::string svg = open_chart(id, "ready-queue depth over time: p50, p99 and maximum");
  for (const double share : {0.0, 0.5, 1.0}) {
    svg += y_tick(kTop + kPlotHeight * (1 - share),
                  model::count_text(std::round(static_cast<double>(top) * share)));
  }
  svg += line_of(axis, columns, max, top, "line max");
  svg += line_of(axis, columns, p99, top, "line p99");
  svg += line_of(axis, columns, p50, top, "line p50");
  for (size_t i = 0; i < columns.size(); ++i) {
    svg += axis.column(columns[i],
                       fmt::format("depth p50 {}, p99 {}, max {}", p50[i], p99[i], max[i]));
  }
  return svg + axis.ticks() + "</svg>\n";
}

std::string stages_svg(std::string_view id, const model::WorkerStats& worker) {
  double total = 0;
  for (const epoll_stage stage : kBreakdown)
    total += static_cast<double>(worker.stages[stage].sum());
  std::string svg = fmt::format(
      R"(<svg id="{}" class="bar" viewBox="0 0 400 16" preserveAspectRatio="none" role="img" )"
      R"(aria-label="time in each stage">)",
      html_escape(id));
  double x = 0;
  for (size_t i = 0; i < std::size(kBreakdown) && total > 0; ++i) {
    const double share = static_cast<double>(worker.stages[kBreakdown[i]].sum()) / total;
    svg += fmt::format(
        R"(<rect class="s{}" x="{:.2f}" y="0" width="{:.2f}" height="16"><title>{}: {:.1f} %</title></rect>)",
        i, x, 400 * share, model::kStageNames[kBreakdown[i]], 100 * share);
    x += 400 * share;
  }
  return svg + "</svg>";
}

}  // namespace epulse::report
