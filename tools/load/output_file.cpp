#include "tools/load/output_file.hpp"

#include <cerrno>
#include <utility>

#include "tools/load/error.hpp"

namespace epulse::load {
namespace {

bool put(std::string_view text, std::FILE* file) {
  return std::fwrite(text.data(), 1, text.size(), file) == text.size();
}

[[noreturn]] void fail_to_write(const std::string& path) {
  fail("cannot write all of '{}': {}; is there room on the disk?", path, errno_text(errno));
}

}  // namespace

OutputFile::OutputFile(std::string path, const std::string& purpose)
    : path_(std::move(path)), file_(std::fopen(path_.c_str(), "we")) {
  if (file_) return;
  fail("cannot create '{}' for {}: {}; is there such a folder, and may we write there?", path_,
       purpose, errno_text(errno));
}

void OutputFile::write(std::string_view text) {
  if (!put(text, file_.get())) fail_to_write(path_);
}

void OutputFile::finish() {
  if (std::fclose(file_.release()) != 0) fail_to_write(path_);
}

void say(std::string_view text) {
  if (put(text, stdout) && std::fflush(stdout) == 0) return;
  fail("cannot write the result to stdout: {}; is there room where it goes?", errno_text(errno));
}

}  // namespace epulse::load
