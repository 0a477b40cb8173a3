#include "server/ws/list_field.hpp"

#include <algorithm>

namespace epulse::ws {

ListReader::Item ListReader::next() {
  while (true) {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(kBlanks), rest_.size()));
    if (rest_.empty()) {
      in_element_ = false;
      if (lines_.empty()) return any_ ? Item::kEnd : Item::kMalformed;
      rest_ = lines_.front();
      lines_ = lines_.subspan(1);
    } else if (take(',')) {
      in_element_ = false;
    } else if (in_element_) {
      return take_parameter() ? Item::kParameter : Item::kMalformed;
    } else {
      in_element_ = any_ = true;
      return take_token(name_) ? Item::kElement : Item::kMalformed;
    }
  }
}

// Takes it with the blanks around it.
bool ListReader::take(char c) {
  const std::size_t at = std::min(rest_.find_first_not_of(kBlanks), rest_.size());
  if (at == rest_.size() || rest_[at] != c) return false;
  rest_.remove_prefix(at + 1);
  rest_.remove_prefix(std::min(rest_.find_first_not_of(kBlanks), rest_.size()));
  return true;
}

bool ListReader::take_token(std::string_view& token) {
  const auto end = std::find_if_not(rest_.begin(), rest_.end(), is_token_char);
  token = rest_.substr(0, static_cast<std::size_t>(end - rest_.begin()));
  rest_.remove_prefix(token.size());
  return !token.empty();
}

// What comes out of the quotes must be a token (9.1), so a backslash stands before a character of
// one: neither a quote nor another backslash.
bool ListReader::take_quoted(std::string_view& token) {
  std::size_t end = 1;
  while (end < rest_.size() && rest_[end] != '"') {
    if (rest_[end] == '\\') ++end;
    if (end == rest_.size() || !is_token_char(rest_[end])) return false;
    ++end;
  }
  if (end == rest_.size() || end == 1) return false;
  token = rest_.substr(1, end - 1);
  rest_.remove_prefix(end + 1);
  return true;
}

bool ListReader::take_parameter() {
  value_ = {};
  has_value_ = false;
  if (!take(';') || !take_token(name_)) return false;
  if (!take('=')) return true;
  has_value_ = true;
  return rest_.starts_with('"') ? take_quoted(value_) : take_token(value_);
}

bool list_has(const ListField& list, std::string_view token) {
  return std::any_of(list.lines().begin(), list.lines().end(),
                     [token](std::string_view line) { return list_has(line, token); });
}

bool is_extension_list(const ListField& field) {
  if (field.absent()) return true;
  ListReader reader(field);
  while (true) {
    const ListReader::Item item = reader.next();
    if (item == ListReader::Item::kEnd) return true;
    if (item == ListReader::Item::kMalformed) return false;
  }
}

}  // namespace epulse::ws
