#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// Little-endian base-128 integers (LEB128) and byte strings, the payload encoding of record files.
namespace epulse::record {

class ByteWriter {
 public:
  void number(uint64_t value);
  void text(std::string_view value);  // length, bytes
  void bytes(const void* data, size_t size) { out_.append(static_cast<const char*>(data), size); }
  const std::string& str() const { return out_; }

 private:
  std::string out_;
};

// Every read of a malformed or short input gives zero or empty, and ok() is false from then on.
class ByteReader {
 public:
  explicit ByteReader(std::string_view in) : in_(in) {}
  uint64_t number();
  std::string_view text();
  std::string_view bytes(size_t size);
  bool ok() const { return ok_; }
  bool at_end() const { return in_.empty(); }

 private:
  std::string_view in_;
  bool ok_ = true;
};

}  // namespace epulse::record
