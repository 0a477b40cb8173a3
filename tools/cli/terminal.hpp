#pragma once

#include <termios.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/cli/screen.hpp"

namespace epulse::cli {

// The size of the terminal behind standard output; nullopt when it is none, or a serial line, which
// does not tell.
std::optional<ScreenSize> terminal_size();

// Standard output is a terminal, and nobody has asked for no colours (NO_COLOR, no-color.org).
bool wants_colours();

// Standard input and output as a full screen: its other page, keys at once and without echo, no
// cursor. All is as before with the object's end. Signal keys (Ctrl-C) stay signals.
class Terminal {
 public:
  // Throws Error when it is no terminal.
  Terminal();
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  void draw(const std::vector<std::string>& lines);
  // Keys that have been pressed; nullopt when the terminal is gone.
  std::optional<std::vector<Key>> keys();
  // Hands the terminal back, stops this process, and takes the terminal when it goes on (Ctrl-Z).
  void suspend();

 private:
  void enter();
  void leave();

  termios before_{};
};

}  // namespace epulse::cli
