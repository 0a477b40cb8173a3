#include "tools/cli/table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "agent/model/text.hpp"

namespace epulse::cli {
namespace {

constexpr size_t kFlexibleMax = 40;     // a longer name is cut, so that figures stay in sight
constexpr size_t kRemarkWidthMin = 30;  // beside the columns; less is better on a line of its own
constexpr const char* kAlarm = "\033[33;1m";
constexpr const char* kPlain = "\033[0m";

std::string padded(std::string_view text, size_t width, bool left) {
  std::string field = cut(text, width);
  const std::string blanks(width - model::text_width(field), ' ');
  return left ? field + blanks : blanks + field;
}

// Where nothing follows the last column, nor does its blank.
std::string without_end(std::string line) {
  line.erase(line.find_last_not_of(' ') + 1);
  return line;
}

}  // namespace

std::string Column::name() const {
  return group.empty() ? std::string(title) : fmt::format("{} {}", group, title);
}

std::string cut(std::string_view text, size_t columns) {
  if (model::text_width(text) <= columns) return std::string(text);
  if (columns == 0) return {};
  return std::string(model::text_start(text, columns - 1)) + '~';
}

Layout::Layout(const Table& table, std::optional<size_t> width, size_t flexible_width)
    : width_(width) {
  const size_t least = table.columns[table.flexible].width;
  size_t wanted = std::max(flexible_width, least);
  for (const Row& row : table.rows) {
    wanted = std::max(wanted, model::text_width(row.cells[table.flexible].text));
  }
  if (!width) {
    for (size_t i = 0; i < table.columns.size(); ++i) shown_.push_back(i);
    flexible_width_ = wanted;
    remark_width_ = std::numeric_limits<size_t>::max();
    return;
  }
  const size_t taken = choose_columns(table, *width);
  const size_t spare = *width - std::min(*width, taken);
  const size_t more = std::min(spare, std::min(wanted, std::max(least, kFlexibleMax)) - least);
  flexible_width_ = least + more;
  if (spare - more > kRemarkWidthMin) remark_width_ = spare - more - 1;
}

size_t Layout::choose_columns(const Table& table, size_t room) {
  size_t taken = table.columns.size() - 1;  // blanks between them
  for (size_t i = 0; i < table.columns.size(); ++i) {
    shown_.push_back(i);
    taken += table.columns[i].width;
  }
  while (taken > room) {
    const auto last = std::max_element(shown_.begin(), shown_.end(), [&](size_t a, size_t b) {
      return table.columns[a].rank < table.columns[b].rank;
    });
    if (table.columns[*last].rank == 0) break;  // lines are cut then
    taken -= table.columns[*last].width + 1;
    shown_.erase(last);
  }
  return taken;
}

std::string Layout::line(const Table& table, const std::vector<std::string_view>& texts,
                         const Row* colours_of) const {
  std::string result;
  size_t room = width_.value_or(std::numeric_limits<size_t>::max());
  for (const size_t i : shown_) {
    const Column& column = table.columns[i];
    const size_t width = std::min(i == table.flexible ? flexible_width_ : column.width, room);
    const std::string field = padded(texts[i], width, column.is_text);
    const bool alarming = colours_of != nullptr && colours_of->cells[i].alarming;
    result += alarming ? kAlarm + field + kPlain : field;
    room -= width;
    if (room == 0) break;
    result += ' ';
    --room;
  }
  return result;
}

std::vector<std::string> Layout::head(const Table& table) const {
  std::vector<std::string_view> groups;
  std::vector<std::string_view> titles;
  for (const Column& column : table.columns) {
    groups.push_back(column.group);
    titles.push_back(column.title);
  }
  std::string lower = line(table, titles, nullptr);
  if (remark_width_ != 0) lower += table.remark_title;
  return {without_end(line(table, groups, nullptr)), without_end(std::move(lower))};
}

std::vector<std::string> Layout::lines(const Table& table, const Row& row, bool colours) const {
  std::vector<std::string_view> texts;
  for (const Cell& cell : row.cells) texts.emplace_back(cell.text);
  std::vector<std::string> result{line(table, texts, colours ? &row : nullptr)};
  if (row.remark.empty() || remark_width_ == 0) result[0] = without_end(std::move(result[0]));
  if (row.remark.empty()) return result;
  if (remark_width_ != 0) {
    result[0] += cut(row.remark, remark_width_);
  } else {
    result.push_back(cut("    " + row.remark, *width_));
  }
  return result;
}

}  // namespace epulse::cli
