// A fuzz target without libFuzzer, so that every build runs it for a moment: the seeds, then a
// fixed sequence of random changes to them. With a folder as argument, writes the seeds there
// instead.
#include <algorithm>
#include <fstream>
#include <random>

#include "tests/fuzz/target.hpp"

// NOLINTNEXTLINE(readability-redundant-declaration): weak here, since not every target has one
extern "C" __attribute__((weak)) size_t LLVMFuzzerCustomMutator(uint8_t*, size_t, size_t, unsigned);

namespace {

constexpr size_t kMutations = 1000;
constexpr size_t kInputBytesMax = 4096;
std::mt19937 engine(20240229);  // NOLINT: the same inputs in every run

size_t below(size_t bound) {
  return bound == 0 ? 0 : engine() % bound;
}

void run(const std::string& input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
}

std::string mutated(std::string input) {
  const size_t size = input.size();
  input.resize(std::max(size, kInputBytesMax));
  auto* const data = reinterpret_cast<uint8_t*>(input.data());
  input.resize(
      LLVMFuzzerCustomMutator != nullptr
          ? LLVMFuzzerCustomMutator(data, size, input.size(), static_cast<unsigned>(engine()))
          : LLVMFuzzerMutate(data, size, input.size()));
  return input;
}

void write_seeds(const std::string& folder) {
  size_t number = 0;
  for (const std::string& seed : epulse::fuzz::seeds()) {
    std::ofstream(folder + "/seed-" + std::to_string(number++), std::ios::binary) << seed;
  }
}

}  // namespace

size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t size_max) {
  constexpr uint8_t kTelling[] = {0, 1, 0x7f, 0x80, 0xff, '\n', ' ', '%'};
  const size_t at = below(size);
  switch (below(4)) {
    case 0:  // insert
      if (size == size_max) break;
      std::copy_backward(data + at, data + size, data + size + 1);
      data[at] = kTelling[below(std::size(kTelling))];
      return size + 1;
    case 1:  // remove
      if (size < 2) break;
      std::copy(data + at + 1, data + size, data + at);
      return size - 1;
    case 2:
      if (size != 0) data[at] = kTelling[below(std::size(kTelling))];
      break;
    default:
      if (size != 0) data[at] = static_cast<uint8_t>(data[at] ^ 1U << below(8));
      break;
  }
  return size;
}

int main(int argc, char** argv) {
  if (argc == 2) {
    write_seeds(argv[1]);
    return 0;
  }
  if (std::freopen("/dev/null", "w", stdout) == nullptr) return 2;  // reports are text, by the MB
  const std::vector<std::string> seeds = epulse::fuzz::seeds();
  for (const std::string& seed : seeds) run(seed);
  std::vector<std::string> inputs = seeds;
  for (size_t i = 0; i < kMutations; ++i) {
    // Changes add up, and now and then one starts from a seed again.
    std::string& input = inputs[i % inputs.size()];
    if (below(32) == 0) input = seeds[i % seeds.size()];
    input = mutated(std::move(input));
    run(input);
  }
  std::fprintf(stderr, "fuzz: %zu seeds and %zu mutations of them: no finding\n", seeds.size(),
               kMutations);
  return 0;
}
