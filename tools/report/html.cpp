#include "tools/report/html.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "agent/model/text.hpp"
#include "agent/model/verdict.hpp"
#include "tools/cli/epoll_table.hpp"
#include "tools/report/svg.hpp"

namespace epulse::report {
namespace {

using model::duration_text;

constexpr size_t kColumns = 160;
constexpr size_t kWorkersShown = 64;

constexpr const char* kHead = R"(<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<style>
:root{--ink:#1d2329;--dim:#66707a;--line:#dde2e7;--page:#fff;--heat:#0b5cad;
--a:#7fb2dd;--b:#d9822b;--c:#8a6fc0;--d:#4c9f70}
@media(prefers-color-scheme:dark){:root{--ink:#e4e8ec;--dim:#98a2ac;--line:#333b43;--page:#15191d;
--heat:#6db3ff}}
body{font:14px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page);
max-width:1000px;margin:24px auto;padding:0 16px}
h1{font-size:20px}h2{font-size:16px;margin:28px 0 6px}
.chart{width:100%;height:auto;display:block}.bar{width:100%;min-width:180px;height:16px}
.tick{font-size:11px;fill:var(--dim)}.grid{stroke:var(--line);fill:none}
.hover{fill:transparent}.hover:hover{fill:var(--ink);fill-opacity:.12}
.line{fill:none;stroke-width:1.6}.max{stroke:var(--line);stroke-width:2.5}
.p99{stroke:var(--b)}.p50{stroke:var(--heat)}
.h0,.h1,.h2,.h3,.h4,.h5,.h6,.h7{fill:var(--heat)}
.h0{fill-opacity:.1}.h1{fill-opacity:.2}.h2{fill-opacity:.32}.h3{fill-opacity:.45}
.h4{fill-opacity:.58}.h5{fill-opacity:.72}.h6{fill-opacity:.86}
.s0{fill:var(--a)}.s1{fill:var(--b)}.s2{fill:var(--c)}.s3{fill:var(--d)}
table{border-collapse:collapse;width:100%}
th,td{text-align:right;padding:3px 8px;border-bottom:1px solid var(--line);white-space:nowrap}
th:first-child,td:first-child{text-align:left}td.wide{width:34%}
dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 14px}dt{color:var(--dim)}dd{margin:0}
.key{display:inline-block;width:11px;height:11px;margin:0 5px 0 14px}
.warning{border-left:4px solid var(--b);padding:2px 12px}
summary{cursor:pointer;color:var(--dim)}
</style>
)";

std::string fact(std::string_view name, std::string_view value) {
  return fmt::format("<dt>{}</dt><dd>{}</dd>\n", html_escape(name), html_escape(value));
}

std::string facts_html(const Summary& summary) {
  std::string html = "<dl>\n";
  for (const auto& [name, value] : summary.meta()) html += fact(name, value);
  html +=
      fact("recorded", fmt::format("{} in {} intervals", duration_text(summary.total().duration_ns),
                                   summary.intervals()));
  const WaitDigest& waits = summary.waits();
  if (waits.count != 0) {
    html += fact("single waits", fmt::format("{}: {} deep, {} late, {} sampled", waits.count,
                                             waits.deep, waits.late, waits.sampled));
  }
  return html + "</dl>\n";
}

std::string warnings_html(const Summary& summary, const std::string& damage) {
  std::string html;
  const auto warn = [&](const std::string& text) {
    html += fmt::format("<p class=\"warning\">{}</p>\n", html_escape(text));
  };
  if (!damage.empty()) warn("the recording is " + damage + "; all else is shown");
  for (const std::string& text : texts_of(summary.total().losses)) warn("lost: " + text);
  const model::EpollSnapshot& total = summary.total();
  if (total.detailed_ns < total.duration_ns) {
    warn(fmt::format(
        "to keep to the overhead budget, queue depth, stages and wake-ups are from "
        "{:.0f} % of the time",
        100 * static_cast<double>(total.detailed_ns) / static_cast<double>(total.duration_ns)));
  }
  return html;
}

// The latency that a client feels first; the others on request.
std::string heat_maps_html(const std::vector<TimelineColumn>& columns) {
  constexpr epoll_stage kOrder[] = {EPOLL_STAGE_READY_TO_DELIVERED, EPOLL_STAGE_WOKEN_TO_RUNNING,
                                    EPOLL_STAGE_HANDLER, EPOLL_STAGE_READY_TO_WOKEN,
                                    EPOLL_STAGE_RUNNING_TO_DELIVERED};
  std::string html;
  bool first = true;
  for (const epoll_stage stage : kOrder) {
    const std::string_view name = model::kStageNames[stage];
    const std::string svg = heat_map_svg(fmt::format("heat-{}", static_cast<int>(stage)),
                                         fmt::format("{} over time", name), columns, stage);
    if (svg.empty()) continue;
    html += first ? fmt::format("<h2>Latency over time: {}</h2>\n{}", name, svg)
                  : fmt::format("<details><summary>{}</summary>{}</details>\n", name, svg);
    first = false;
  }
  return html;
}

std::string depth_html(const std::vector<TimelineColumn>& columns) {
  const std::string svg = depth_svg("depth", columns);
  if (svg.empty()) return {};
  return "<h2>Ready-queue depth over time: p50, p99 and maximum</h2>\n" + svg;
}

std::string legend_html() {
  std::string html = "<p>";
  for (size_t i = 0; i < std::size(kBreakdown); ++i) {
    html += fmt::format(
        R"(<svg class="key" viewBox="0 0 1 1"><rect class="s{}" width="1" height="1"/></svg>{})", i,
        model::kStageNames[kBreakdown[i]]);
  }
  return html + "</p>\n";
}

std::string worker_row(const model::WorkerStats& worker, const std::string& label, size_t index) {
  const auto p99 = [&](epoll_stage stage) {
    const model::Histogram& histogram = worker.stages[stage];
    return histogram.count() == 0 ? "-" : duration_text(histogram.quantile(0.99));
  };
  return fmt::format(
      "<tr><td>{}<br>{}</td><td class=\"wide\">{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>"
      "<td>{}</td></tr>\n",
      html_escape(label), html_escape(model::verdict(worker)),
      stages_svg(fmt::format("stages-{}", index), worker), worker.events(),
      worker.items[EPOLL_ITEMS_LISTED].quantile(0.99), p99(EPOLL_STAGE_WOKEN_TO_RUNNING),
      p99(EPOLL_STAGE_READY_TO_DELIVERED), p99(EPOLL_STAGE_HANDLER));
}

std::string workers_html(const Summary& summary) {
  std::vector<model::WorkerStats> workers = summary.total().workers;
  std::erase_if(workers, [](const model::WorkerStats& worker) { return worker.waits() == 0; });
  if (workers.empty()) return "<p>No epoll_wait returned.</p>\n";
  std::stable_sort(workers.begin(), workers.end(),
                   [](const auto& a, const auto& b) { return a.events() > b.events(); });
  const bool processes = cli::several_processes(workers);
  std::string html =
      "<h2>Workers: where the time went</h2>\n" + legend_html() +
      "<table><tr><th>worker</th><th>stages</th><th>events</th><th>depth p99</th>"
      "<th>woken to running p99</th><th>ready to delivered p99</th><th>handler p99</th></tr>\n";
  for (size_t i = 0; i < std::min(workers.size(), kWorkersShown); ++i) {
    html += worker_row(workers[i],
                       fmt::format("{}, epoll fd {}",
                                   cli::worker_label(workers[i].key, summary.names(), processes),
                                   workers[i].key.epfd),
                       i);
  }
  html += "</table>\n";
  if (workers.size() > kWorkersShown) {
    html += fmt::format("<p>and {} more with fewer events</p>\n", workers.size() - kWorkersShown);
  }
  return html;
}

}  // namespace

std::string html_page(const Summary& summary, const std::string& damage) {
  const auto target = summary.meta().find("target");
  const std::string title =
      "epulse: " + (target == summary.meta().end() ? std::string("recording") : target->second);
  const std::vector<TimelineColumn> columns = summary.timeline().in_columns(kColumns);
  return kHead +
         fmt::format("<title>{}</title></head><body>\n<h1>{}</h1>\n", html_escape(title),
                     html_escape(title)) +
         facts_html(summary) + warnings_html(summary, damage) + heat_maps_html(columns) +
         depth_html(columns) + workers_html(summary) + "</body></html>\n";
}

}  // namespace epulse::report
