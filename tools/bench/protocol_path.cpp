// The protocol path alone, for callgrind: PROTOCOL_PATH CASE MESSAGES does a case so many times,
// without socket or clock. tools/bench/callgrind counts its instructions.
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "server/ws/compression.hpp"
#include "server/ws/frame.hpp"
#include "server/ws/mask.hpp"
#include "server/ws/parser.hpp"
#include "server/ws/utf8.hpp"

namespace epulse::bench {
namespace {

using Bytes = std::vector<std::uint8_t>;
using Step = std::function<bool()>;  // one message; false: it came out wrong

// Leaves the bytes as they are, and is applied like any other: a frame can be received again.
constexpr ws::MaskKey kMask{};
constexpr std::uint32_t kMaxMessage = 1U << 24U;

// Text that can be compressed, and is the same in every run.
Bytes ascii_text(std::size_t size) {
  Bytes text;
  for (unsigned i = 0; text.size() < size; ++i) {
    const std::string word = "{\"id\":" + std::to_string(i * 7919U % 1000U) + ",\"ok\":true} ";
    text.insert(text.end(), word.begin(), word.end());
  }
  text.resize(size);
  return text;
}

// Characters of two bytes.
Bytes wide_text(std::size_t size) {
  Bytes text(size);
  for (std::size_t i = 0; i < size; ++i) text[i] = i % 2 == 0 ? 0xC3 : 0xA9;
  return text;
}

Bytes client_frame(ws::Opcode opcode, Bytes payload, bool compressed = false) {
  const ws::HeaderBytes header =
      ws::encode_header({opcode, payload.size(), true, kMask, compressed});
  ws::apply_mask(payload, kMask);
  Bytes frame(header.view().begin(), header.view().end());
  frame.insert(frame.end(), payload.begin(), payload.end());
  return frame;
}

// A server's end of a connection.
struct End {
  ws::InflatePool pool{std::uint64_t{1} << 28U};
  ws::Parser parser{ws::Role::kServer, kMaxMessage};
};

// Receives the frame, again and again, as conn/connection.cpp does.
Step receive(Bytes frame, std::size_t expected) {
  auto end = std::make_shared<End>();
  end->parser.expect_deflate(end->pool, {.context_takeover = false});
  return [frame = std::move(frame), expected, end]() mutable {
    std::span<std::uint8_t> rest = frame;
    if (const auto message = end->parser.next_short(rest)) {
      return message->payload.size() == expected;
    }
    const ws::Event event = end->parser.next_of_any(rest);
    return event.kind == ws::Event::Kind::kMessage && event.payload.size() == expected;
  };
}

Step unmask(std::size_t size) {
  return [data = ascii_text(size)]() mutable {
    ws::apply_mask(data, kMask);
    return true;
  };
}

Step frame(std::size_t size) {
  return [size, length = size < 126 ? 2U : 4U] {
    return ws::encode_header({ws::Opcode::kBinary, size, true, {}}).size == length;
  };
}

Step utf8(Bytes text) {
  return [text = std::move(text)] {
    ws::Utf8Validator validator;
    return validator.feed(text) && validator.complete();
  };
}

Bytes compressed(const Bytes& text) {
  ws::Compression compression({.mode = ws::CompressionOptions::Mode::kShared});
  const auto bytes = compression.deflate(text, ws::kMaxWindowBits);
  return {bytes.begin(), bytes.end()};
}

Step deflate(std::size_t size) {
  auto compression = std::make_shared<ws::Compression>(
      ws::CompressionOptions{.mode = ws::CompressionOptions::Mode::kShared});
  return [text = ascii_text(size), compression] {
    const auto out = compression->deflate(text, ws::kMaxWindowBits);
    return !out.empty() && out.size() < text.size();
  };
}

Step inflate(std::size_t size) {
  return receive(client_frame(ws::Opcode::kBinary, compressed(ascii_text(size)), true), size);
}

const std::map<std::string, std::function<Step()>>& cases() {
  constexpr std::size_t kSmall = 20;
  constexpr std::size_t kMedium = 256;
  constexpr std::size_t kLarge = 16384;
  const auto received = [](ws::Opcode opcode, std::size_t size) {
    return [opcode, size] { return receive(client_frame(opcode, ascii_text(size)), size); };
  };
  static const std::map<std::string, std::function<Step()>> all{
      {"parse-binary-20", received(ws::Opcode::kBinary, kSmall)},
      {"parse-binary-16k", received(ws::Opcode::kBinary, kLarge)},
      {"parse-text-20", received(ws::Opcode::kText, kSmall)},
      {"parse-text-16k", received(ws::Opcode::kText, kLarge)},
      {"unmask-20", [] { return unmask(kSmall); }},
      {"unmask-16k", [] { return unmask(kLarge); }},
      {"frame-20", [] { return frame(kSmall); }},
      {"frame-16k", [] { return frame(kLarge); }},
      {"utf8-ascii-256", [] { return utf8(ascii_text(kMedium)); }},
      {"utf8-ascii-16k", [] { return utf8(ascii_text(kLarge)); }},
      {"utf8-wide-20", [] { return utf8(wide_text(kSmall)); }},
      {"utf8-wide-256", [] { return utf8(wide_text(kMedium)); }},
      {"deflate-256", [] { return deflate(kMedium); }},
      {"deflate-16k", [] { return deflate(kLarge); }},
      {"inflate-256", [] { return inflate(kMedium); }},
      {"inflate-16k", [] { return inflate(kLarge); }},
  };
  return all;
}

int list() {
  for (const auto& [name, make] : cases()) std::printf("%s\n", name.c_str());
#ifdef __x86_64__
  std::printf("path %s\n", __builtin_cpu_supports("avx2") != 0 ? "AVX2" : "words of 8 bytes");
#else
  std::printf("path words of 8 bytes\n");
#endif
  return 0;
}

int run(const std::string& name, int messages) {
  const auto found = cases().find(name);
  if (found == cases().end() || messages < 1) {
    std::fprintf(stderr, "protocol_path: no case '%s', or no messages\n", name.c_str());
    return 2;
  }
  const Step step = found->second();
  for (int i = 0; i < messages; ++i) {
    if (!step()) {
      std::fprintf(stderr, "protocol_path: %s comes out wrong\n", name.c_str());
      return 1;
    }
  }
  return 0;
}

}  // namespace
}  // namespace epulse::bench

int main(int argc, char** argv) {
  if (argc == 2 && std::string(argv[1]) == "list") return epulse::bench::list();
  if (argc == 3) return epulse::bench::run(argv[1], std::atoi(argv[2]));
  std::fprintf(stderr, "usage: %s list | CASE MESSAGES\n", argv[0]);
  return 2;
}
