#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/engine/socket_engine.hpp"
#include "server/tls/stream.hpp"
#include "server/ws/client_handshake.hpp"
#include "server/ws/compression.hpp"
#include "server/ws/parser.hpp"
#include "tools/load/broadcast.hpp"
#include "tools/load/counters.hpp"
#include "tools/load/course.hpp"
#include "tools/load/echo_frames.hpp"
#include "tools/load/in_flight.hpp"
#include "tools/load/options.hpp"
#include "tools/load/random.hpp"
#include "tools/load/recording.hpp"
#include "tools/load/step_counters.hpp"
#include "tools/load/subscriber.hpp"
#include "tools/load/target.hpp"
#include "tools/load/tls_sessions.hpp"

namespace epulse::load {

class Client;

// Ciphertext of the client being called: leaves in one piece, too.
struct Cipher final : tls::Sink {
  void take(tls::Part output) override { bytes.insert(bytes.end(), output.begin(), output.end()); }
  std::vector<std::uint8_t> bytes;
};

// What the clients of one thread share.
struct ClientContext {
  const Options& options;
  const Target& target;
  SSL_CTX* tls;  // none: plain connections
  StepCounters counters;
  server::SocketEngine* engine = nullptr;  // while the thread runs
  std::vector<Client*> owners{};           // of the engine's connections, by slot
  bool counting = true;                    // false from the end on
  std::uint64_t send_until_ns = 0;  // closed loop: answers call for the next messages until then
  std::uint64_t now_ns = 0;         // when the input being handled was received
  FirstFailure* first_failure = nullptr;
  Recording* recording = nullptr;       // none unless asked for
  std::vector<std::uint8_t> message{};  // being sent
  // Messages of any size, with context where the server allows it.
  ws::Compression compression{
      ws::CompressionOptions{.mode = ws::CompressionOptions::Mode::kDedicated, .min_bytes = 0}};
  // Of the client being called: leaves in one piece at the end of the call.
  std::vector<std::uint8_t> output{};
  Cipher cipher{};
  tls::Pipe pipe{};
  TlsSessions* sessions = nullptr;  // none unless they are to be resumed
  RandomBits random{};

  ws::MaskKey random_mask();

  // What one connection may hold while the server takes or answers nothing; together they stay
  // bounded, however many connections a server neglects.
  std::size_t max_unsent_bytes = most_unsent_bytes(options);
  std::size_t max_in_flight = most_in_flight(options);

 private:
  static std::size_t most_unsent_bytes(const Options& options);
  static std::size_t most_in_flight(const Options& options);
};

// One connection to the server under load.
class Client {
 public:
  enum class State : std::uint8_t {
    kNew,
    kConnecting,
    kHandshake,
    kOpen,
    kClosing,
    kReopening,  // connects again when the engine has let go of the old connection
    kDead
  };

  // `index` counts the clients of all threads; `max_bytes`: of a message. `raw`: the server echoes
  // our own frames.
  Client(std::uint32_t index, std::uint32_t max_bytes, bool raw);
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Before connect(): what it sends and gets is part of a broadcast instead of an echo.
  void take_part(Broadcast& broadcast);

  void connect(ClientContext& context);
  // What the engine tells of its connection.
  void on_data(std::span<std::uint8_t> input, ClientContext& context);
  void on_drained(ClientContext& context);
  void on_closed(server::CloseReason reason, ClientContext& context);
  // Messages that leave together. `due_ns`: what their latency counts from.
  void send_messages(std::uint64_t due_ns, std::uint32_t count, ClientContext& context);
  // Ends the connection and opens another, again and again in a closed loop.
  void reopen(ClientContext& context);
  void close(ClientContext& context);
  // Gives up on a connection that has not opened in time.
  void give_up(ClientContext& context);

  State state() const { return state_; }
  bool opening() const { return state_ == State::kConnecting || state_ == State::kHandshake; }
  std::uint32_t index() const { return index_; }
  // Whether the socket has taken all that was sent so far.
  bool idle(const ClientContext& context) const {
    return state_ == State::kOpen && !context.engine->blocked(conn_);
  }
  // The end has come: counts what is in flight as unanswered.
  void abandon_answers(ClientContext& context);
  // Messages that it sent and that are not answered, or not delivered to all.
  std::size_t in_flight() { return publication_ ? publication_->in_flight() : in_flight_.size(); }

 private:
  bool begin_connecting(int fd, const Target& target) const;
  bool bind_source(int fd, const Target& target) const;
  void note_addresses(ClientContext& context) const;
  void connected(ClientContext& context);
  void tls_opened(ClientContext& context);
  void request_upgrade(ClientContext& context);
  void receive_tls(std::span<const std::uint8_t> cipher, ClientContext& context);
  void take_plain(std::span<std::uint8_t> input, ClientContext& context);
  void opened(const std::optional<ws::DeflateTerms>& deflate, ClientContext& context);
  void shake_hands(std::span<std::uint8_t> input, ClientContext& context);
  ws::ResponseHead check_opening(const ClientContext& context) const;
  void opened_again(ClientContext& context);
  void connect_again(ClientContext& context);
  void read_frames(std::span<std::uint8_t> input, ClientContext& context);
  void handle(const ws::Event& event, ClientContext& context);
  EchoFrames frames(const ClientContext& context) const;
  bool take_answers(std::span<std::uint8_t>& input, ClientContext& context);
  void answered(std::uint32_t count, ClientContext& context);
  void send_next(std::uint32_t count, ClientContext& context);
  void check_answer(const ws::Event& event, ClientContext& context);
  void take_delivery(const ws::Event& event, ClientContext& context);
  void add_messages(std::uint64_t due_ns, std::uint32_t count, ClientContext& context);
  void publish(std::uint64_t due_ns, std::uint32_t count, ClientContext& context);
  void encode(ClientContext& context);
  static void count_answer(const Awaited& run, ClientContext& context);
  static void count_latency(const Awaited& run, ClientContext& context);
  void record(const Awaited& run, std::uint64_t received_ns, ClientContext& context) const;
  void record_unanswered(ClientContext& context);
  void count_lost(ClientContext& context);
  void answer_ping(std::span<const std::uint8_t> payload, ClientContext& context);
  static void write(std::span<const std::uint8_t> bytes, ClientContext& context);
  void flush(ClientContext& context);
  void broken_pipe(int code, ClientContext& context);
  ErrorKind handshake_error() const;
  void fail_opening(ErrorKind kind, std::string_view why, ClientContext& context);
  void close_and_lose(ws::CloseCode code, ErrorKind kind, ClientContext& context);
  void lose(ErrorKind kind, ClientContext& context);
  void die(ClientContext& context);

  // No engine has such a slot.
  static constexpr server::ConnId kNobody{std::numeric_limits<std::uint32_t>::max(), 0};

  ws::Parser parser_;
  ws::DeflateSender sender_;
  std::optional<tls::Stream> tls_;
  std::optional<Subscriber> subscriber_;  // broadcast
  Publication* publication_ = nullptr;    // broadcast, if it publishes: its messages
  InFlight in_flight_;
  std::string key_;                  // during the handshake
  std::string response_;             //
  std::uint64_t next_sequence_ = 0;  // to be sent
  std::uint64_t next_answer_ = 0;    // to come
  server::ConnId conn_ = kNobody;
  std::uint32_t index_;
  State state_ = State::kNew;
  bool counted_ = false;  // in the gauge of connections, since it was open once
};

}  // namespace epulse::load
