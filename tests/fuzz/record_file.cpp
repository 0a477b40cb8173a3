// Record files: all that `epulse report` does with one, up to its text.
#include <algorithm>
#include <random>

#include "agent/error.hpp"
#include "tests/fuzz/record_blocks.hpp"
#include "tests/fuzz/recording.hpp"
#include "tests/fuzz/target.hpp"

namespace epulse::fuzz {
namespace {

// "all else is shown", the report says of damage: so it must be what a file without it gives.
void require_intact(std::string_view contents, const Recording& recording) {
  const record::RecordCondition& condition = recording.condition;
  if (condition.damaged_places == 0 || condition.damaged_places > record::kDamagesKept) return;
  const Recording intact = parse_recording(without_damage(contents, condition));
  require(intact.condition.damaged_places == 0, "what is left without the damage is intact");
  require(same_contents(intact, recording), "all but the damage is kept, and nothing of it");
  require(intact.intervals == recording.intervals, "all intervals but damaged ones are kept");
}

void require_all(std::string_view contents) {
  const Recording recording = parse_recording(contents);
  show(contents);
  require_intact(contents, recording);
  require_round_trip(recording);
}

std::string mutated_payload(const std::string& payload, size_t size_max) {
  std::string buffer = payload;
  buffer.resize(size_max);
  buffer.resize(
      LLVMFuzzerMutate(reinterpret_cast<uint8_t*>(buffer.data()), payload.size(), size_max));
  return buffer;
}

}  // namespace

std::vector<std::string> seeds() {
  Recording whole;
  whole.meta = {{"target", "redis-server[4711]"}, {"backend", "tracepoint"}};
  whole.names = {{4711, "redis-server"}};
  whole.total = example_interval(5);
  whole.waits = {example_wait(), example_wait()};
  whole.connections = {{example_wait().epoll_id, "127.0.0.1:9001", "127.0.0.1:54012"}};
  std::vector<RecordBlock> blocks = split_record_file(encoded(whole));
  blocks.insert(blocks.begin() + 1, blocks[1]);
  return {encoded({}), encoded(whole), join_record_file(blocks)};
}

}  // namespace epulse::fuzz

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace epulse::fuzz;
  const std::string_view contents = text_of(data, size);
  try {
    require_all(contents);
    // A write that was cut short, anywhere: the last byte decides where.
    const size_t cut = size - size * data[size - 1] / 256;
    require_intact(contents.substr(0, cut), parse_recording(contents.substr(0, cut)));
  } catch (const epulse::Error&) {
    // Not a record file, and it said so.
  }
  return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t size_max, unsigned seed) {
  using namespace epulse::fuzz;
  std::minstd_rand random(seed);
  std::vector<RecordBlock> blocks = split_record_file(text_of(data, size));
  // Now and then headers and checksums themselves.
  if (blocks.empty() || random() % 16 == 0) return LLVMFuzzerMutate(data, size, size_max);
  const size_t room = size_max - std::min(size_max, size);
  const auto chosen = blocks.begin() + static_cast<ptrdiff_t>(random() % blocks.size());
  switch (random() % 12) {
    case 0:
      blocks.erase(chosen);
      break;
    case 1:
      blocks.insert(chosen, RecordBlock(blocks[random() % blocks.size()]));
      break;
    case 2:
      chosen->type = static_cast<uint32_t>(1 + random() % 6);
      break;
    default:
      chosen->payload = mutated_payload(chosen->payload, chosen->payload.size() + room);
      break;
  }
  const std::string contents = join_record_file(blocks);
  if (contents.size() > size_max) return LLVMFuzzerMutate(data, size, size_max);
  std::copy(contents.begin(), contents.end(), data);
  return contents.size();
}
