#pragma once

#include <cstdint>
#include <string>
#include <string_view>

// Little-endian base-128 integers (LEB128) and byte strings, the payload encoding of record files.
namespace epulse::record {

class ByteWriter {
 public:
  void number(uint64_t value);
  // Small in either direction is short: 0, -1, 1, -2 ... become 0, 1, 2, 3.
  void difference(uint64_t value, uint64_t base);
  void text(std::string_view value);  // length, bytes
  const std::string& str() const { return out_; }

 private:
  std::string out_;
};

// Every read of a malformed or short input gives zero or empty, and ok() is false from then on.
class ByteReader {
 public:
  explicit ByteReader(std::string_view in) : in_(in) {}
  uint64_t number() {
    // Most are below 128, and a file has some hundred million of them.
    if (!in_.empty() && static_cast<unsigned char>(in_.front()) < 0x80) {
      const auto value = static_cast<unsigned char>(in_.front());
      in_.remove_prefix(1);
      return value;
    }
    return long_number();
  }
  // What `base` was and `difference()` was given make of it.
  uint64_t difference(uint64_t base) {
    const uint64_t folded = number();
    return base + ((folded >> 1) ^ (~(folded & 1) + 1));
  }
  std::string_view text();
  bool ok() const { return ok_; }
  bool at_end() const { return in_.empty(); }
  size_t left() const { return in_.size(); }

 private:
  uint64_t long_number();

  std::string_view in_;
  bool ok_ = true;
};

}  // namespace epulse::record
