#pragma once

#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

namespace epulse::load {

// A file that is made to the end, or the program says why not.
class OutputFile {
 public:
  // Creates it, for what `purpose` says. Throws Error.
  OutputFile(std::string path, const std::string& purpose);

  // Throws Error when there is no room, as far as that is known yet.
  void write(std::string_view text);
  // Ends it. Throws Error when what was written did not all get there.
  void finish();

 private:
  struct CloseFile {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };

  std::string path_;
  std::unique_ptr<std::FILE, CloseFile> file_;
};

// To stdout, in one piece, so that who reads a pipe gets it at once. Throws Error.
void say(std::string_view text);

}  // namespace epulse::load
