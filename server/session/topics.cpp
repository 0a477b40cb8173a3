// The session's part in topics: its own clients as subscribers and publishers.
#include <utility>

#include "server/contract/stats_writer.hpp"
#include "server/session/session.hpp"

namespace epulse::server {
namespace {

constexpr std::uint64_t kSlowCheckNs = 1'000'000'000;
constexpr std::size_t kGatheredBytes = std::size_t{64} * 1024;

// The frames one after the other; of one publication it is its own.
SharedBytes joined_frames(const std::vector<PublicationPtr>& publications) {
  if (publications.size() == 1) return {publications[0], &publications[0]->frame()};
  std::size_t bytes = 0;
  for (const PublicationPtr& publication : publications) bytes += publication->frame().size();
  auto joined = std::make_shared<Bytes>();
  joined->reserve(bytes);
  for (const PublicationPtr& publication : publications) {
    joined->insert(joined->end(), publication->frame().begin(), publication->frame().end());
  }
  return joined;
}

}  // namespace

TopicPtr Session::subscribe(ConnId id, std::string_view topic) {
  TopicPtr found = shared_.hub.topic(topic);
  if (Client* client = find_open(id)) add_subscription(*client, found);
  return found;
}

void Session::subscribe_prefix(ConnId id, std::string_view prefix) {
  if (Client* client = find_open(id)) add_subscription(*client, shared_.hub.prefix(prefix));
}

void Session::add_subscription(Client& client, const TopicPtr& topic) {
  deliver_gathered();
  if (!client.subscriptions) {
    client.subscriptions = std::make_unique<std::vector<Subscription>>();
    client.subscriptions->reserve(1);
  }
  client.subscriptions->push_back({topic, topic->add(worker_, client.connection.id())});
}

void Session::unsubscribe(Client& client) {
  if (!client.subscriptions) return;
  // One by one: it may have subscribed to one topic twice.
  for (std::vector<Subscription>& left = *client.subscriptions; !left.empty();) {
    const Subscription subscription = std::move(left.back());
    left.pop_back();
    remove_member(subscription);
  }
  client.subscriptions.reset();
}

// The last member takes its place, and has to know.
void Session::remove_member(const Subscription& subscription) {
  const TopicPtr& topic = subscription.topic;
  const auto last = static_cast<std::uint32_t>(topic->members(worker_).size() - 1);
  topic->remove(worker_, subscription.index);
  if (subscription.index == last) return;
  const Client* moved = find(topic->members(worker_)[subscription.index]);
  for (Subscription& other : *moved->subscriptions) {
    if (other.topic == topic && other.index == last) other.index = subscription.index;
  }
}

void Session::publish(ConnId id, const TopicPtr& topic, ws::Opcode opcode,
                      std::span<const std::uint8_t> message) {
  Client* client = find(id);
  if (client == nullptr) return;
  // Each publisher is held back by the first message that has to wait, but there may be many.
  if (outbox_.bytes() >= shared_.options.outbox_cap_bytes && outbox_.has_to_wait(*topic)) {
    return refuse_publication(id);
  }
  auto publication = std::make_shared<const Publication>(topic, opcode, message);
  stat_add(stats_.published, 1);
  outbox_.hand_over(publication);
  gather(std::move(publication));
  if (!outbox_.empty()) throttle(*client);
}

void Session::refuse_publication(ConnId id) {
  deliver_gathered();
  if (find_open(id) == nullptr) return;
  stat_add(stats_.gathering_closed, 1);
  close(id, ws::CloseCode::kTryAgainLater, "other workers are behind with publications");
}

void Session::gather(PublicationPtr publication) {
  if (!gathered_.empty() && &gathered_[0]->topic() != &publication->topic()) deliver_gathered();
  gathered_bytes_ += publication->payload().size();
  gathered_.push_back(std::move(publication));
  if (gathered_bytes_ >= kGatheredBytes) deliver_gathered();
}

void Session::deliver_what_is_gathered() {
  Topic& topic = gathered_[0]->topic();
  const SharedBytes plain = joined_frames(gathered_);
  deliver_to(topic, plain);
  for (const TopicPtr& prefix : shared_.hub.prefixes_of(topic, worker_)) deliver_to(*prefix, plain);
  gathered_.clear();
  gathered_bytes_ = 0;
}

void Session::deliver_to(const Topic& topic, const SharedBytes& plain) {
  const bool skip = shared_.options.slow_policy == SlowPolicy::kSkip;
  for (const ConnId member : topic.members(worker_)) {
    Client* client = find(member);
    if (client->connection.phase() != Connection::Phase::kOpen) continue;
    if (skip && is_slow(*client)) {
      stat_add(stats_.slow_skipped, gathered_.size());
      continue;
    }
    send_gathered(*client, plain);
    stat_add(stats_.delivered, gathered_.size());
    count_sent(*client, gathered_.size(), gathered_bytes_);
    if (!skip) drop_if_slow(*client);
  }
}

void Session::send_gathered(Client& client, const SharedBytes& plain) {
  const ConnId id = client.connection.id();
  const std::uint8_t window_bits = client.connection.window_bits();
  if (window_bits == 0) return engine_->send_shared(id, plain);
  for (const PublicationPtr& publication : gathered_) {
    SharedBytes frame = publication->compressed_frame(*compression_, window_bits);
    if (frame) {
      client.connection.forget_context();
    } else {
      frame = {publication, &publication->frame()};
    }
    engine_->send_shared(id, std::move(frame));
  }
}

bool Session::is_slow(const Client& client) const {
  const ConnId id = client.connection.id();
  return engine_->queued_bytes(id) > backlog_cap() && engine_->blocked(id);
}

// A turn may be rich; what counts is what the socket does not take, as its end tells.
void Session::drop_if_slow(Client& client) {
  const ConnId id = client.connection.id();
  if (engine_->queued_bytes(id) <= backlog_cap()) return;
  if (!engine_->blocked(id)) return schedule(client, engine_->now_ns() + kSlowCheckNs);
  client.connection.drop(*engine_);
  enter_phase(client);  // Its timer may be due before the engine lets go of it.
  stat_add(stats_.slow_closed, 1);
}

// A publisher faster than another worker is not read until that one has caught up.
void Session::throttle(Client& client) {
  if (client.throttled) return;
  client.throttled = true;
  throttled_.push_back(client.connection.id());
  engine_->pause_reading(client.connection.id());
  shared_.hub.announce_stall(worker_);
  shared_.hub.waker(worker_).wake();  // The second attempt that announce_stall() asks for.
}

void Session::retry_outbox() {
  if (!outbox_.retry()) {
    shared_.hub.announce_stall(worker_);
    if (!outbox_.retry()) return;
  }
  for (const ConnId id : std::exchange(throttled_, {})) {
    if (Client* client = find(id)) {
      client->throttled = false;
      go_on(*client);
    }
  }
}

}  // namespace epulse::server
