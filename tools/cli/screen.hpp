#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/cli/table.hpp"

// What `epulse top` shows, and how it answers to keys. Pure: tested without a terminal.
namespace epulse::cli {

struct View {
  std::string title;               // who is watched, and how
  std::vector<std::string> notes;  // what is to be known beside the table, a line each
  Table table;
  size_t sorted_by = 0;  // the column by which it is sorted unless the user wants another
};

struct Key {
  enum Kind {
    kCharacter,
    kUp,
    kDown,
    kLeft,
    kRight,
    kPageUp,
    kPageDown,
    kHome,
    kEnd,
    kEnter,
    kEscape,
    kBackspace,
  };
  Kind kind = kCharacter;
  char character = 0;
  bool operator==(const Key&) const = default;
};

// From what a terminal sends; what is not known is left out.
std::vector<Key> parse_keys(std::string_view bytes);

struct ScreenSize {
  size_t rows = 24;
  size_t columns = 80;
};

// Which rows, and in which order.
struct Selection {
  std::optional<size_t> sort = {};  // the column; nullopt: the view's own
  bool reversed = false;            // numbers ascending, texts from Z to A
  std::string filter = {};          // a part of any text of the row, in any case
};
std::vector<const Row*> select(const View& view, const Selection& selection);

class Screen {
 public:
  explicit Screen(bool colours) : colours_(colours) {}

  // A new view; ignored while the old one is frozen.
  void show(View view);
  // False when the user wants to leave.
  bool press(const Key& key);
  // As many lines as the screen has rows, none longer than it has columns.
  std::vector<std::string> lines(ScreenSize size);

 private:
  void type(const Key& key);
  void command(char key);
  void scroll(const Key& key);
  void sort_by_neighbour(bool right);
  std::string status(size_t shown, size_t selected) const;

  bool colours_;
  View view_;
  Selection selection_;
  bool typing_ = false;
  bool frozen_ = false;
  bool help_ = false;
  size_t first_ = 0;  // the row at the top
  size_t page_ = 1;   // rows that fitted last
};

}  // namespace epulse::cli
