#include "tools/load/load_thread.hpp"

#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "server/engine/engines.hpp"
#include "tools/load/clock.hpp"
#include "tools/load/engine_choice.hpp"

namespace epulse::load {
namespace {

constexpr std::size_t kConnectsAtOnce = 128;
constexpr std::uint64_t kAnswerTimeoutNs = 2 * kSecondNs;
constexpr std::uint64_t kCloseTimeoutNs = kSecondNs / 2;
constexpr std::uint64_t kLookAroundNs = kSecondNs / 50;  // so that Ctrl-C is noticed
constexpr std::uint64_t kOthersDeliverNs = 50'000;
constexpr std::uint64_t kNsPerMs = 1'000'000;
constexpr std::size_t kRecordedOfAll = 2'000'000;
constexpr int kSendsPerTurn = 256;  // before answers are looked at again
// With io_uring they leave at its end, so that each message makes those before it later.
constexpr int kSendsPerSubmission = 32;

}  // namespace

LoadThread::LoadThread(std::uint32_t index, const Options& options, const Target& target,
                       SSL_CTX* tls, Course& course, std::span<Counters> counters,
                       Broadcast* broadcast)
    : options_(options),
      course_(course),
      schedule_(options.rates, options.step_ns(), options.senders()),
      counters_(counters.front()),
      sends_per_turn_(options.engine == server::EngineKind::kUring ? kSendsPerSubmission
                                                                   : kSendsPerTurn),
      context_{options, target, tls, {counters, options.step_ns()}} {
  context_.first_failure = &course.first_failure;
  if (!options.record_file.empty()) {
    MessageSample sample(options.record_every, kRecordedOfAll / options.all_threads());
    recording_.emplace(Recording{std::move(sample), {}});
    context_.recording = &*recording_;
  }
  if (options.tls_resume) {
    context_.sessions = &sessions_.emplace(options.connections / options.all_threads() + 1);
  }
  for (std::uint32_t c = index; c < options.connections; c += options.all_threads()) {
    clients_.push_back(std::make_unique<Client>(c, options.sizes.max(), target.raw));
    if (broadcast != nullptr) clients_.back()->take_part(*broadcast);
    if (c < options.senders()) senders_.push_back(clients_.back().get());
  }
}

void LoadThread::run() {
  // The default slack of 50 us would be lateness of our own making.
  prctl(PR_SET_TIMERSLACK, 1UL);
  counters_.thread.store(gettid());
  take_engine();
  open_all();
  course_.opened.fetch_add(1);
  wait_start();
  send();
  collect_answers();
  course_.finished.fetch_add(1);
  close_all();
  engine_.reset();
}

// The thread that makes an engine has to be the one that runs it.
void LoadThread::take_engine() {
  engine_ = server::make_engine(engine_options(options_), events_, stats_);
  context_.engine = engine_.get();
}

// Opening.

std::size_t LoadThread::count_opening() const {
  return static_cast<std::size_t>(std::count_if(
      clients_.begin(), clients_.end(), [](const auto& client) { return client->opening(); }));
}

void LoadThread::open_all() {
  const auto timeout_ns = static_cast<std::uint64_t>(options_.open_timeout_s * 1e9);
  std::uint64_t deadline = clock_ns() + timeout_ns;
  std::size_t next = 0;
  std::size_t opening = 0;
  while ((next < clients_.size() || opening > 0) && clock_ns() < deadline && !stopped()) {
    for (; next < clients_.size() && opening < kConnectsAtOnce; ++next, ++opening) {
      clients_[next]->connect(context_);
      deadline = clock_ns() + timeout_ns;  // Each gets its time, however many there are.
    }
    if (opening > 0) poll(kLookAroundNs);
    opening = count_opening();
  }
  for (const auto& client : clients_) {
    if (client->opening()) client->give_up(context_);
    // Never tried, since too many before it hung: it did not open either.
    if (client->state() == Client::State::kNew && !stopped()) {
      context_.counters.first().error(ErrorKind::kConnect);
    }
  }
}

void LoadThread::wait_start() {
  while (course_.start_ns.load() == 0 && !stopped()) poll(kNsPerMs);
  start_ns_ = course_.start_ns.load();
  if (start_ns_ == 0) start_ns_ = clock_ns();  // Stopped before the start.
  end_ns_ = start_ns_ + options_.length_ns();
  context_.counters.start(start_ns_);
}

// Sending.

void LoadThread::send() {
  if (options_.idle) return hold();
  if (options_.open_loop()) return send_open_loop();
  options_.broadcast ? send_broadcast() : send_closed_loop();
}

// Until the end: what the connections do by themselves.
void LoadThread::hold() {
  for (std::uint64_t now = clock_ns(); now < end_ns_ && !stopped() && anyone_open();
       now = clock_ns()) {
    poll(std::min(end_ns_ - now, kLookAroundNs));
  }
}

// The first message of this thread that is not sent yet; nothing when all are.
std::optional<LoadThread::Due> LoadThread::next_due() {
  if (senders_.empty()) return std::nullopt;
  for (; step_ < schedule_.steps(); ++step_, next_message_ = 0) {
    Client& client = *senders_[next_message_ % senders_.size()];
    const std::optional<std::uint64_t> due =
        schedule_.due_ns(step_, client.index(), next_message_ / senders_.size());
    if (due) return Due{start_ns_ + *due, &client};
  }
  return std::nullopt;
}

// Sends what is due; answers when the next message is.
std::uint64_t LoadThread::send_due(std::uint64_t now) {
  for (int sends = 0;; ++sends) {
    const std::optional<Due> due = next_due();
    if (!due) return end_ns_;
    if (due->ns > now || sends == sends_per_turn_) return due->ns;
    ++next_message_;
    Counters& counters = context_.counters.at(due->ns);
    if (due->client->state() != Client::State::kOpen) {
      counters.error(ErrorKind::kUnsent);
      continue;
    }
    counters.lag.record(clock_ns() - due->ns);
    due->client->send_messages(due->ns, 1, context_);
  }
}

void LoadThread::send_open_loop() {
  std::uint64_t now = clock_ns();
  // What is due before the end is sent, even if late; but a generator that cannot keep up must end.
  while (!stopped() && now < end_ns_ + kAnswerTimeoutNs && anyone_open()) {
    const std::uint64_t next = send_due(now);
    if (next >= end_ns_) break;
    now = clock_ns();
    poll(next > now ? std::min(next - now, kLookAroundNs) : 0);
    now = clock_ns();
  }
  if (!stopped()) give_up_schedule();
  while (!stopped() && now < end_ns_ && anyone_open()) {
    poll(std::min(end_ns_ - now, kLookAroundNs));
    now = clock_ns();
  }
}

// Nobody is connected any more, or we cannot keep up: what is still due is part of the result all
// the same.
void LoadThread::give_up_schedule() {
  for (std::optional<Due> due = next_due(); due && !stopped(); ++next_message_, due = next_due()) {
    context_.counters.at(due->ns).error(ErrorKind::kUnsent);
  }
}

void LoadThread::send_closed_loop() {
  context_.send_until_ns = end_ns_;
  for (const auto& client : clients_) {
    if (stopped()) break;
    if (options_.handshakes) {
      client->reopen(context_);
    } else {
      client->send_messages(clock_ns(), options_.at_once(), context_);
    }
    poll(0);  // The first answers do not wait until gigabytes are sent.
  }
  hold();
  context_.send_until_ns = 0;
}

// What a publisher's window has room for leaves in one piece.
void LoadThread::send_broadcast() {
  for (std::uint64_t now = clock_ns(); now < end_ns_ && !stopped() && anyone_open();
       now = clock_ns()) {
    for (Client* publisher : senders_) {
      const std::size_t in_flight = publisher->in_flight();
      if (in_flight < options_.window && publisher->idle(context_)) {
        const auto room = static_cast<std::uint32_t>(options_.window - in_flight);
        publisher->send_messages(clock_ns(), room, context_);
      }
    }
    poll(std::min(end_ns_ - now, window_poll_ns()));
  }
}

// The last delivery that a window waits for may be another thread's, which wakes nobody.
std::uint64_t LoadThread::window_poll_ns() const {
  const bool alone = options_.all_threads() == 1 || senders_.empty();
  return alone ? kLookAroundNs : kOthersDeliverNs;
}

bool LoadThread::anyone_open() const {
  return counters_.connected.load(std::memory_order_relaxed) > 0;
}

// Ending.

std::size_t LoadThread::in_flight() const {
  std::size_t sum = 0;
  for (const auto& client : clients_) sum += client->in_flight();
  return sum;
}

bool LoadThread::all_threads(const std::atomic<std::uint32_t>& stage) const {
  return stage.load() >= options_.all_threads();
}

void LoadThread::collect_answers() {
  const std::uint64_t deadline = clock_ns() + kAnswerTimeoutNs;
  std::size_t left = in_flight();
  while (left > 0 && clock_ns() < deadline) {
    poll(kNsPerMs);
    left = in_flight();
  }
  // Of a broadcast, others may wait for what our connections are to get.
  course_.answered.fetch_add(1);
  while (!all_threads(course_.answered)) poll(kNsPerMs);
  context_.counting = false;
  // What one still counts as delivered another must not count as not.
  course_.counted.fetch_add(1);
  while (!all_threads(course_.counted)) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  // Their age so far is a lower bound of their latency: without it the percentiles would not know
  // of a server that stalls until the end.
  for (const auto& client : clients_) client->abandon_answers(context_);
}

void LoadThread::close_all() {
  while (!course_.reported.load() || !all_threads(course_.finished)) poll(kNsPerMs);
  for (const auto& client : clients_) client->close(context_);
  const std::uint64_t deadline = clock_ns() + kCloseTimeoutNs;
  while (anyone_open() && clock_ns() < deadline) poll(kNsPerMs);
}

}  // namespace epulse::load
