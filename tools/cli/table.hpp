#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Tables that keep to a width. Pure: tested without a terminal.
namespace epulse::cli {

struct Column {
  std::string_view group;  // the upper line of the head, "depth"
  std::string_view title;  // the lower one, "p99"
  size_t width = 0;        // of the flexible column: what it has at least
  // Where there is no room the highest go first; 0: never.
  int rank = 0;
  bool is_text = false;  // to the left, and ordered from A to Z

  // As help and keys call it: "depth p99".
  std::string name() const;
};

struct Cell {
  std::string text;
  double order = 0;  // by which rows are sorted; where the text is not what counts
  bool alarming = false;
};

struct Row {
  std::vector<Cell> cells;  // one to a column
  std::string remark;       // beside the columns where there is room, else on a line of its own
};

struct Table {
  std::vector<Column> columns;
  size_t flexible = 0;  // this column is as wide as its texts, where there is room
  std::vector<Row> rows;
  std::string_view remark_title;
};

// Which columns of a table there is room for, and how wide they are.
class Layout {
 public:
  // `width`: nullopt for all that there is. `flexible_width`: what the flexible column takes where
  // there is room, so that it need not change from one table to the next.
  Layout(const Table& table, std::optional<size_t> width, size_t flexible_width = 0);

  size_t flexible_width() const { return flexible_width_; }
  // Two lines.
  std::vector<std::string> head(const Table& table) const;
  // One line, or two where the remark has no room beside it. `colours`: alarming cells stand out
  // (ECMA-48 SGR).
  std::vector<std::string> lines(const Table& table, const Row& row, bool colours) const;

 private:
  size_t choose_columns(const Table& table, size_t room);
  std::string line(const Table& table, const std::vector<std::string_view>& texts,
                   const Row* colours_of) const;

  std::optional<size_t> width_;
  size_t flexible_width_ = 0;
  size_t remark_width_ = 0;  // 0: on a line of its own
  std::vector<size_t> shown_;
};

// In so many columns, cut with a "~" at its end where it is longer.
std::string cut(std::string_view text, size_t columns);

}  // namespace epulse::cli
