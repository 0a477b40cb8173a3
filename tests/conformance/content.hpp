#pragma once

#include <array>
#include <cstddef>
#include <string>

#include "tests/server/test_client.hpp"

// What the compressed messages of Autobahn's sections 12 and 13 are cut from: made here, of the
// same kinds as its files, of which it has one each.
namespace epulse::conformance {

struct Content {
  std::string name;
  ws::Opcode opcode;
  testing::Bytes bytes;
};

// 12.1 to 12.5: JSON, a picture, text in German, HTML, and a PDF, which does not compress.
const std::array<Content, 5>& contents();

// The next `size` bytes of it, from the start again at its end.
class Slices {
 public:
  explicit Slices(const Content& content) : content_(content) {}
  testing::Bytes next(std::size_t size);

 private:
  const Content& content_;
  std::size_t at_ = 0;
};

}  // namespace epulse::conformance
