// The journal: what undoing reads after a crash. It must neither invent nor lose a change.
#include <fmt/format.h>

#include <algorithm>
#include <random>

#include "agent/actuate/crc32.hpp"
#include "agent/actuate/journal_format.hpp"
#include "tests/fuzz/target.hpp"

namespace epulse::fuzz {
namespace {

using namespace actuate;

constexpr size_t kChecksumChars = 9;  // eight digits and a space

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

std::string sealed(std::string_view body) {
  return fmt::format("{:08x} {}\n", crc32(body), body);
}

void require_wording(const Change& change) {
  require(!target_text(change).empty() && !describe(change).empty(), "a change can be told");
  require(!by_hand(change).empty() && !undo_by_hand(change).empty(), "... and done by hand");
}

// Names and reasons come from other processes: any bytes.
void require_texts_read_back(std::string_view text) {
  const ThreadAffinity change{
      -1, 4711, ~0ULL, std::string(text), model::CpuSet::of(0), model::CpuSet::of(1023)};
  const IntentRecord intent{~0ULL, change, INT64_MIN, std::string(text)};
  const std::string line = encode(intent);
  require(decode(std::string_view(line).substr(0, line.size() - 1)) == Record(intent),
          "what was encoded decodes as it was");
}

// A crash in the middle of a write: the records before it stand, and no line counts as damage.
void require_intact_prefix(std::string_view text, size_t cut) {
  const std::string_view prefix = text.substr(0, cut);
  const size_t whole = prefix.rfind('\n') + 1;  // npos + 1 is 0
  if (decode(prefix.substr(whole))) return;     // all but its newline was written: it counts
  const JournalState state = replay(prefix, "journal");
  const JournalState before = replay(prefix.substr(0, whole), "journal");
  require(state.pending == before.pending, "records before a cut stand");
  require(state.has_damage == before.has_damage, "a cut is no damage");
}

void require_all(std::string_view text) {
  for (const std::string& line : lines_of(text)) {
    const auto record = decode(line);
    require(!record || encode(*record) == line + '\n', "only what encode() writes is accepted");
  }
  const JournalState state = replay(text, "journal");
  for (const IntentRecord& intent : state.pending) {
    require(intent.seq <= state.seq_max, "no number is used twice");
    require_wording(intent.change);
  }
  require_texts_read_back(text);
}

}  // namespace

std::vector<std::string> seeds() {
  const ThreadAffinity affinity{4700,
                                4711,
                                123456789,
                                "ws worker 100%",
                                model::CpuSet::of(0),
                                model::CpuSet::parse("1-3,8").value()};
  const SocketBuffer buffer{4700,  123456789, 12,    987654, model::BufferSide::kSend,
                            87380, 3,         174760};
  SocketBuffer unlocked = buffer;
  unlocked.side = model::BufferSide::kReceive;
  unlocked.old_lock.reset();
  const std::string text = encode(IntentRecord{1, affinity, 1700000000, "50 % of it\nbusy"}) +
                           encode(IntentRecord{2, buffer, 1700000001, ""}) +
                           encode(IntentRecord{3, unlocked, 0, "x y"}) +
                           encode(SettledRecord{1, SettledRecord::Kind::kUndone, "restored"});
  return {text, text + encode(SettledRecord{2, SettledRecord::Kind::kStoodDown, "theirs"}),
          text.substr(0, text.size() - 7)};
}

}  // namespace epulse::fuzz

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = epulse::fuzz::text_of(data, size);
  epulse::fuzz::require_all(text);
  if (size != 0) epulse::fuzz::require_intact_prefix(text, size - size * data[size / 2] / 256);
  return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t size_max, unsigned seed) {
  using namespace epulse::fuzz;
  std::minstd_rand random(seed);
  std::vector<std::string> lines = lines_of(text_of(data, size));
  // Now and then checksums and newlines themselves.
  if (lines.empty() || random() % 16 == 0) return LLVMFuzzerMutate(data, size, size_max);
  const auto chosen = lines.begin() + static_cast<ptrdiff_t>(random() % lines.size());
  chosen->erase(0, kChecksumChars);
  const size_t body_bytes = chosen->size();
  chosen->resize(body_bytes + size_max - std::min(size_max, size));
  chosen->resize(
      LLVMFuzzerMutate(reinterpret_cast<uint8_t*>(chosen->data()), body_bytes, chosen->size()));
  *chosen = sealed(*chosen);
  chosen->pop_back();
  std::string text;
  for (const std::string& line : lines) text += line + '\n';
  if (text.size() > size_max) return LLVMFuzzerMutate(data, size, size_max);
  std::copy(text.begin(), text.end(), data);
  return text.size();
}
