#include "agent/actuate/journal.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <filesystem>

#include "agent/actuate/crc32.hpp"
#include "agent/actuate/origin.hpp"
#include "tests/agent/temp_dir.hpp"

namespace epulse::actuate {
namespace {

using model::BufferSide;
using model::CpuSet;
using Kind = SettledRecord::Kind;

ThreadAffinity affinity(pid_t tid = 4711) {
  return {
      4700, tid, 123456789, "ws worker 100%\n(1)", CpuSet::of(0), CpuSet::parse("1-3,8").value()};
}

SocketBuffer buffer(std::optional<uint32_t> lock) {
  return {4700, 123456789, 12, 987654, BufferSide::kSend, 87380, lock, 174760};
}

std::vector<Record> examples() {
  return {IntentRecord{1, affinity(), 1700000000, "waits 4,210 us; 50 % of it\nbusy"},
          IntentRecord{2, buffer(0), 1700000001, ""},
          IntentRecord{3, buffer({}), 0, "x y"},
          IntentRecord{4, ServerSetting{4700, 123456789, "/run/a b.sock", "epoll-batch", 8, 64},
                       1700000002, "full"},
          IntentRecord{5, affinity(), 1700000003, "x", "4f2c-81/4026531836"},
          IntentRecord{6, affinity(), 1700000003, "x", "a b=%"},
          MarkRecord{1, true},
          MarkRecord{1, false},
          SettledRecord{1, Kind::kUndone, "CPU mask restored"},
          SettledRecord{2, Kind::kStoodDown, "a"},
          SettledRecord{4, Kind::kUndone, ""},
          SettledRecord{5, Kind::kUndone, ""},
          SettledRecord{6, Kind::kUndone, ""}};
}

std::string without_newline(std::string line) {
  line.pop_back();
  return line;
}

TEST(Crc32, GivesThePublishedCheckValue) {
  EXPECT_EQ(crc32("123456789"), 0xcbf43926U);
}

TEST(JournalFormat, IsReadable) {
  EXPECT_EQ(
      encode(IntentRecord{7, buffer(0), 1700000000, "80 % full"}).substr(9),
      "7 intent sndbuf pid=4700 start=123456789 fd=12 inode=987654 old=87380 lock=0 new=174760 "
      "at=1700000000 reason=80 %25 full\n");
  EXPECT_EQ(
      encode(IntentRecord{7, buffer(0), 1700000000, "full", "4f2c-81/4026531836"}).substr(9),
      "7 intent sndbuf pid=4700 start=123456789 fd=12 inode=987654 old=87380 lock=0 new=174760 "
      "at=1700000000 origin=4f2c-81/4026531836 reason=full\n");
  EXPECT_EQ(encode(SettledRecord{7, Kind::kStoodDown, "changed since"}).substr(9),
            "7 stood-down why=changed since\n");
}

TEST(JournalFormat, EveryRecordReadsBack) {
  for (const Record& record : examples()) {
    const std::string line = encode(record);
    EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1) << line;
    const auto decoded = decode(without_newline(line));
    ASSERT_TRUE(decoded.has_value()) << line;
    EXPECT_EQ(*decoded, record) << line;
  }
}

// With a right checksum, so it was no disk that did it; such a lock would be put back as 0.
TEST(JournalFormat, AFieldThatReadsAsAnotherValueIsRefused) {
  const std::string good = without_newline(encode(IntentRecord{1, buffer(0), 0, "x"})).substr(9);
  for (const auto& [from, to] :
       std::vector<std::pair<std::string, std::string>>{{"lock=0", "lock=0"},
                                                        {"lock=0", "lock=99999999999"},
                                                        {"fd=12", "fd=012"},
                                                        {"reason=x", "reason=%78"}}) {
    std::string body = good;
    body.replace(body.find(from), from.size(), to);
    EXPECT_EQ(decode(fmt::format("{:08x} {}", crc32(body), body)).has_value(), from == to) << body;
  }
}

TEST(JournalFormat, EveryFlippedBitIsNoticed) {
  for (const Record& record : examples()) {
    const std::string line = without_newline(encode(record));
    for (size_t byte = 0; byte < line.size(); ++byte) {
      for (unsigned bit = 0; bit < 8; ++bit) {
        std::string damaged = line;
        damaged[byte] = static_cast<char>(static_cast<unsigned char>(damaged[byte]) ^ (1U << bit));
        EXPECT_FALSE(decode(damaged).has_value()) << damaged;
      }
    }
  }
}

TEST(JournalFormat, RefusesWellSummedNonsense) {
  for (const std::string body :
       {"", "1", "1 intent", "x undone why=a", "1 undone", "1 undone why", "1 redone why=a",
        "1 intent affinity pid=1 tid=2 start=3 name=a old=0 new= at=1 reason=a",
        "1 intent affinity pid=1 tid=2 start=3 name=a old=0 new=9999 at=1 reason=a",
        "1 intent affinity pid=1 tid=-x start=3 name=a old=0 new=1 at=1 reason=a",
        "1 intent affinity pid=1 start=3 name=a old=0 new=1 at=1 reason=a",
        "1 intent rcvbuf pid=1 start=2 fd=3 inode=4 old=5 lock= new=6 at=1 reason=a",
        "1 intent rcvbuf pid=1 start=2 fd=3 inode=4 old=5 lock=y new=6 at=1 reason=a",
        "1 undone why=%2", "1 undone why=%zz"}) {
    EXPECT_FALSE(decode(fmt::format("{:08x} {}", crc32(body), body)).has_value()) << body;
  }
}

TEST(JournalReplay, KeepsWhatIsNotSettled) {
  std::string text;
  for (const Record& record : examples()) text += encode(record);
  const JournalState state = replay(text, "j");
  ASSERT_EQ(state.pending.size(), 1U);
  EXPECT_EQ(state.pending[0].seq, 3U);
  EXPECT_EQ(state.seq_max, 6U);
  EXPECT_TRUE(state.complaints.empty());
}

TEST(JournalReplay, ADamagedLineIsNamedAndSkipped) {
  const std::string first = encode(IntentRecord{1, affinity(1), 0, "a"});
  const std::string last = encode(IntentRecord{2, affinity(2), 0, "b"});
  for (size_t byte = 0; byte < first.size(); ++byte) {
    std::string damaged = first;
    damaged[byte] = static_cast<char>(damaged[byte] ^ 4);
    const JournalState state = replay(damaged + last, "/run/epulse/journal");
    ASSERT_FALSE(state.complaints.empty());
    EXPECT_EQ(state.complaints[0].find("/run/epulse/journal:1: the line is damaged"), 0U);
    EXPECT_TRUE(state.has_damage);
    // Its own newline damaged, the line takes the next one along.
    EXPECT_EQ(state.pending.size(), byte + 1 == first.size() ? 0U : 1U);
  }
}

// The last record cut short at every byte: it never happened, and the next one is not spoilt.
TEST(Journal, SurvivesATornTailAtEveryByte) {
  const std::string kept = encode(IntentRecord{1, affinity(1), 0, "kept"});
  const std::string torn = encode(IntentRecord{2, affinity(2), 0, "torn"});
  for (size_t size = 0; size <= torn.size(); ++size) {
    const TempDir dir;
    write_text(dir.file("journal"), kept + torn.substr(0, size));
    const size_t whole = size + 1 >= torn.size() ? 2 : 1;  // only the newline may be missing
    {
      Journal journal(dir.path());
      ASSERT_EQ(journal.pending().size(), whole) << size;
      EXPECT_EQ(journal.complaints().empty(), size == 0 || whole == 2) << size;
      journal.append_intent(affinity(3), "next", 0);
    }
    const JournalState state = Journal::read(dir.path());
    ASSERT_EQ(state.pending.size(), whole + 1) << size;
    EXPECT_EQ(state.pending.back().reason, "next");
    EXPECT_GT(state.pending.back().seq, state.pending.front().seq);
  }
}

// The line that announced the change is gone, whoever took it.
TEST(JournalReplay, AMarkWithoutItsChangeIsDamage) {
  const JournalState state = replay(encode(MarkRecord{7, true}), "j");
  EXPECT_TRUE(state.has_damage);
  ASSERT_EQ(state.complaints.size(), 1U);
  EXPECT_NE(state.complaints[0].find("j:1: change 7 was made"), std::string::npos);
}

// Else it would be a damaged line once another follows, and alarm who reads that.
TEST(Journal, ATornTailIsCutOff) {
  const TempDir dir;
  const std::string whole = encode(IntentRecord{1, affinity(), 0, "one"});
  write_text(dir.file("journal"), whole + whole.substr(0, 30));
  {
    const Journal journal(dir.path());
    EXPECT_EQ(journal.pending().size(), 1U);
    EXPECT_EQ(journal.complaints().size(), 1U);
  }
  EXPECT_EQ(read_text(dir.file("journal")), whole);
}

TEST(Journal, RemembersAcrossProcesses) {
  const TempDir dir;
  const std::string state_dir = dir.file("state");
  {
    Journal journal(state_dir);
    EXPECT_EQ(journal.append_intent(affinity(1), "one", 5), 1U);
    EXPECT_EQ(journal.append_intent(buffer(0), "two", 6), 2U);
    journal.append_settled(1, Kind::kUndone, "done");
  }
  struct stat status {};
  ASSERT_EQ(stat(state_dir.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0700U);
  Journal journal(state_dir);
  ASSERT_EQ(journal.pending().size(), 1U);
  EXPECT_EQ(journal.pending()[0], (IntentRecord{2, buffer(0), 6, "two", origin()}));
}

TEST(Journal, IsEmptiedWhenAllIsSettled) {
  const TempDir dir;
  Journal journal(dir.path());
  journal.append_intent(affinity(1), "one", 0);
  journal.append_intent(affinity(2), "two", 0);
  journal.append_settled(2, Kind::kStoodDown, "theirs");
  EXPECT_NE(read_text(dir.file("journal")), "");
  journal.append_settled(1, Kind::kUndone, "done");
  EXPECT_EQ(read_text(dir.file("journal")), "");
  EXPECT_EQ(journal.append_intent(affinity(3), "three", 0), 3U) << "numbers are not reused";
  EXPECT_EQ(Journal::read(dir.path()).pending.size(), 1U);
}

TEST(Journal, SetsADamagedFileAside) {
  const TempDir dir;
  const std::string damaged = "00000000 1 intent something\n";
  write_text(dir.file("journal"), damaged + encode(IntentRecord{2, affinity(2), 0, "b"}));
  Journal journal(dir.path());
  EXPECT_EQ(journal.complaints().size(), 1U);
  journal.append_settled(2, Kind::kUndone, "done");
  EXPECT_EQ(read_text(dir.file("journal.damaged")).find(damaged), 0U);
  EXPECT_EQ(read_text(dir.file("journal")), "");
  journal.append_intent(affinity(3), "c", 0);
  EXPECT_EQ(Journal::read(dir.path()).pending.size(), 1U);
}

TEST(Journal, KeepsWhatWasSetAsideBefore) {
  const TempDir dir;
  for (const char* const damaged : {"00000000 1 intent one\n", "00000000 1 intent two\n"}) {
    write_text(dir.file("journal"), damaged);
    const Journal journal(dir.path());
  }
  EXPECT_EQ(read_text(dir.file("journal.damaged")), "00000000 1 intent one\n");
  EXPECT_EQ(read_text(dir.file("journal.damaged.2")), "00000000 1 intent two\n");
  EXPECT_EQ(Journal::set_aside(dir.path()),
            (std::vector{dir.file("journal.damaged"), dir.file("journal.damaged.2")}));
  EXPECT_TRUE(Journal::set_aside(dir.file("nowhere")).empty());
}

TEST(Journal, AbsentIsEmpty) {
  const TempDir dir;
  EXPECT_TRUE(Journal::read(dir.file("nowhere")).pending.empty());
}

TEST(Journal, ASecondHolderIsToldWhoHoldsIt) {
  const TempDir dir;
  const Journal journal(dir.path());
  EXPECT_EQ(error_of([&] { Journal second(dir.path()); }),
            fmt::format("epulsed (pid {}) is running and holds the journal {}/journal; if it "
                        "watches another process, give this one a --state-dir of its own, else "
                        "stop it (it restores everything on exit)",
                        getpid(), dir.path()));
  EXPECT_TRUE(Journal::read(dir.path()).pending.empty()) << "reading needs no lock";
}

// Below a regular file nothing can be created, by root neither.
TEST(Journal, ADirectoryThatCannotBeWrittenIsRefused) {
  const TempDir dir;
  write_text(dir.file("file"), "");
  const std::string error = error_of([&] { Journal journal(dir.file("file/state")); });
  EXPECT_NE(error.find("cannot create the state directory"), std::string::npos) << error;
  EXPECT_NE(error.find("Not a directory"), std::string::npos) << error;
  EXPECT_NE(error_of([&] { Journal journal(dir.file("file")); }).find("Not a directory"),
            std::string::npos);
}

TEST(Journal, ADirectoryThatOthersCanWriteIsRefused) {
  const TempDir dir;
  ASSERT_EQ(chmod(dir.path().c_str(), 0777), 0);
  const std::string error = error_of([&] { Journal journal(dir.path()); });
  EXPECT_NE(error.find("can be written by others"), std::string::npos) << error;
}

TEST(Journal, ASymbolicLinkIsNotFollowed) {
  const TempDir dir;
  write_text(dir.file("victim"), "precious");
  ASSERT_EQ(symlink(dir.file("victim").c_str(), dir.file("journal").c_str()), 0);
  EXPECT_NE(error_of([&] { Journal journal(dir.path()); }), "");
  EXPECT_EQ(read_text(dir.file("victim")), "precious");
}

// RLIMIT_FSIZE stands for the full disk: writes come up short, then fail. In a child, for it
// sticks.
// One change stays in force while thousands come and go.
TEST(Journal, DoesNotGrowWithoutEnd) {
  const TempDir dir;
  Journal journal(dir.path());
  const uint64_t kept = journal.append_intent(affinity(1), "kept", 1);
  journal.mark(kept, true);
  const std::string reason(3000, 'x');
  for (int i = 0; i < 1000; ++i) {
    journal.append_settled(journal.append_intent(affinity(2), reason, 2), Kind::kUndone, "");
  }
  EXPECT_LT(std::filesystem::file_size(dir.file("journal")), 2'000'000U);
  EXPECT_FALSE(std::filesystem::exists(dir.file("journal.new")));
  const JournalState state = Journal::read(dir.path());
  ASSERT_EQ(state.pending.size(), 1U);
  EXPECT_EQ(state.pending[0], journal.pending()[0]);
  EXPECT_TRUE(state.pending[0].made);
  EXPECT_TRUE(state.complaints.empty());
  const uint64_t next = journal.append_intent(affinity(3), "next", 3);
  EXPECT_EQ(Journal::read(dir.path()).pending.back().seq, next) << "into the file of that name";
}

TEST(Journal, AFullDiskThrowsAndSpoilsNothing) {
  const TempDir dir;
  const std::string whole = encode(IntentRecord{1, affinity(1), 0, "fits", origin()});
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{whole.size() + 40, whole.size() + 40};
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) _exit(10);
    Journal journal(dir.path());
    journal.append_intent(affinity(1), "fits", 0);
    const std::string error =
        error_of([&] { journal.append_intent(affinity(2), "does not fit", 0); });
    if (error.find("nothing is changed without a journal") == std::string::npos) _exit(11);
    if (journal.pending().size() != 1) _exit(12);
    if (read_text(dir.file("journal")) != whole) _exit(13);
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  Journal journal(dir.path());
  EXPECT_EQ(journal.pending().size(), 1U);
  EXPECT_TRUE(journal.complaints().empty());
}

}  // namespace
}  // namespace epulse::actuate
