#include "tools/cli/screen.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

namespace epulse::cli {
namespace {

constexpr const char* kReverse = "\033[7m";
constexpr const char* kPlain = "\033[0m";

constexpr std::array<std::string_view, 11> kHelp = {
    "",
    "  left, right   sort by another column (also < and >)",
    "  r             the other way round",
    "  up, down      scroll (also k and j); page up, page down, home, end",
    "  /             show only rows that contain what you type; Enter ends, Esc clears",
    "  space         freeze, and go on",
    "  h             this help, and back (also ?)",
    "  q             quit; the table of the whole run stays on the screen",
    "",
    "  Bright figures are beyond what epulsed warns of: more than 500 items ready at p99,",
    "  more than 100 us from woken to running at p99.",
};

// ECMA-48 sequences of the keys that we know; xterm and the Linux console differ in home and end.
constexpr std::array<std::pair<std::string_view, Key::Kind>, 14> kSequences = {{
    {"\033[A", Key::kUp},
    {"\033[B", Key::kDown},
    {"\033[C", Key::kRight},
    {"\033[D", Key::kLeft},
    {"\033OA", Key::kUp},
    {"\033OB", Key::kDown},
    {"\033OC", Key::kRight},
    {"\033OD", Key::kLeft},
    {"\033[5~", Key::kPageUp},
    {"\033[6~", Key::kPageDown},
    {"\033[H", Key::kHome},
    {"\033[F", Key::kEnd},
    {"\033[1~", Key::kHome},
    {"\033[4~", Key::kEnd},
}};

// Bytes of the control sequence that `bytes` begins with: CSI or SS3, up to its final byte.
size_t sequence_bytes(std::string_view bytes) {
  if (bytes.size() < 2 || (bytes[1] != '[' && bytes[1] != 'O')) return 1;
  size_t i = 2;
  while (i < bytes.size() && (bytes[i] < 0x40 || bytes[i] > 0x7e)) ++i;
  return std::min(i + 1, bytes.size());
}

bool contains(std::string_view text, std::string_view part) {
  const auto same = [](char a, char b) {
    return std::tolower(static_cast<unsigned char>(a)) ==
           std::tolower(static_cast<unsigned char>(b));
  };
  return std::search(text.begin(), text.end(), part.begin(), part.end(), same) != text.end();
}

bool matches(const View& view, const Row& row, const std::string& filter) {
  if (contains(row.remark, filter)) return true;
  for (size_t i = 0; i < row.cells.size(); ++i) {
    if (view.table.columns[i].is_text && contains(row.cells[i].text, filter)) return true;
  }
  return false;
}

}  // namespace

std::vector<Key> parse_keys(std::string_view bytes) {
  std::vector<Key> keys;
  while (!bytes.empty()) {
    size_t used = 1;
    const char c = bytes[0];
    if (c == '\033' && bytes.size() > 1) {
      used = sequence_bytes(bytes);
      for (const auto& [sequence, kind] : kSequences) {
        if (sequence == bytes.substr(0, used)) keys.push_back({kind});
      }
    } else if (c == '\033') {
      keys.push_back({Key::kEscape});
    } else if (c == '\r' || c == '\n') {
      keys.push_back({Key::kEnter});
    } else if (c == '\177' || c == '\b') {
      keys.push_back({Key::kBackspace});
    } else if (c >= ' ' && c < '\177') {
      keys.push_back({Key::kCharacter, c});
    }
    bytes.remove_prefix(used);
  }
  return keys;
}

std::vector<const Row*> select(const View& view, const Selection& selection) {
  std::vector<const Row*> rows;
  for (const Row& row : view.table.rows) {
    if (matches(view, row, selection.filter)) rows.push_back(&row);
  }
  const size_t by = selection.sort.value_or(view.sorted_by);
  const bool text = view.table.columns[by].is_text;
  // Numbers with the highest first, texts from A to Z.
  const auto before = [&](const Row* a, const Row* b) {
    return text ? a->cells[by].text < b->cells[by].text : a->cells[by].order > b->cells[by].order;
  };
  std::stable_sort(rows.begin(), rows.end(), [&](const Row* a, const Row* b) {
    return selection.reversed ? before(b, a) : before(a, b);
  });
  return rows;
}

void Screen::show(View view) {
  if (!frozen_) view_ = std::move(view);
}

void Screen::type(const Key& key) {
  std::string& filter = selection_.filter;
  if (key.kind == Key::kCharacter) filter += key.character;
  if (key.kind == Key::kBackspace && !filter.empty()) filter.pop_back();
  if (key.kind == Key::kEscape) filter.clear();
  if (key.kind == Key::kEnter || key.kind == Key::kEscape) typing_ = false;
  first_ = 0;
}

void Screen::sort_by_neighbour(bool right) {
  const size_t count = view_.table.columns.size();
  if (count == 0) return;
  const size_t now = selection_.sort.value_or(view_.sorted_by);
  selection_.sort = (now + (right ? 1 : count - 1)) % count;
  selection_.reversed = false;
  first_ = 0;
}

void Screen::scroll(const Key& key) {
  const size_t last = view_.table.rows.empty() ? 0 : view_.table.rows.size() - 1;
  if (key.kind == Key::kUp) first_ -= std::min<size_t>(first_, 1);
  if (key.kind == Key::kDown) ++first_;
  if (key.kind == Key::kPageUp) first_ -= std::min(first_, page_);
  if (key.kind == Key::kPageDown) first_ += page_;
  if (key.kind == Key::kHome) first_ = 0;
  if (key.kind == Key::kEnd) first_ = last;
}

void Screen::command(char key) {
  if (key == 'j') scroll({Key::kDown});
  if (key == 'k') scroll({Key::kUp});
  if (key == '<' || key == '>') sort_by_neighbour(key == '>');
  if (key == 'r') selection_.reversed = !selection_.reversed;
  if (key == '/') typing_ = true;
  if (key == ' ') frozen_ = !frozen_;
  if (key == 'h' || key == '?') help_ = true;
}

bool Screen::press(const Key& key) {
  if (typing_) {
    type(key);
  } else if (key == Key{Key::kCharacter, 'q'}) {
    return false;
  } else if (help_) {
    help_ = false;  // any key
  } else if (key.kind == Key::kCharacter) {
    command(key.character);
  } else if (key.kind == Key::kLeft || key.kind == Key::kRight) {
    sort_by_neighbour(key.kind == Key::kRight);
  } else if (key.kind == Key::kEscape) {
    selection_.filter.clear();
    first_ = 0;
  } else {
    scroll(key);
  }
  return true;
}

std::string Screen::status(size_t shown, size_t selected) const {
  if (typing_) return fmt::format("show only: {}_  (Enter ends, Esc clears)", selection_.filter);
  const size_t by = selection_.sort.value_or(view_.sorted_by);
  std::string text = frozen_ ? "FROZEN, space goes on | " : "";
  text += shown == 0 ? fmt::format("no rows of {}", view_.table.rows.size())
                     : fmt::format("{}-{} of {}", first_ + 1, first_ + shown, selected);
  if (!view_.table.columns.empty()) {
    text += fmt::format(" | by {}{}", view_.table.columns[by].name(),
                        selection_.reversed ? ", reversed" : "");
  }
  if (!selection_.filter.empty()) text += fmt::format(" | only \"{}\"", selection_.filter);
  return text + " | h help, q quit";
}

std::vector<std::string> Screen::lines(ScreenSize size) {
  std::vector<std::string> lines{cut(view_.title, size.columns)};
  if (help_) {
    for (const std::string_view line : kHelp) lines.push_back(cut(line, size.columns));
    lines.resize(size.rows);
    return lines;
  }
  for (const std::string& note : view_.notes) lines.push_back(cut(note, size.columns));
  size_t shown = 0;
  std::vector<const Row*> rows;
  if (!view_.table.columns.empty()) {
    const Layout layout(view_.table, size.columns);
    for (std::string& head : layout.head(view_.table)) {
      if (colours_) head.insert(0, kReverse).append(kPlain);
      lines.push_back(std::move(head));
    }
    rows = select(view_, selection_);
    // Somewhere there is a last page; who scrolls beyond it stays there.
    first_ = std::min(first_, rows.empty() ? 0 : rows.size() - 1);
    while (first_ + shown < rows.size()) {
      auto row = layout.lines(view_.table, *rows[first_ + shown], colours_);
      if (lines.size() + row.size() + 1 > size.rows) break;
      lines.insert(lines.end(), row.begin(), row.end());
      ++shown;
    }
    page_ = std::max<size_t>(shown, 1);
  }
  lines.resize(size.rows == 0 ? 0 : size.rows - 1);
  if (size.rows != 0) lines.push_back(cut(status(shown, rows.size()), size.columns));
  return lines;
}

}  // namespace epulse::cli
