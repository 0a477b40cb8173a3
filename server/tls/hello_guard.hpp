#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace epulse::tls {

// Bounds what a client can make us set aside before it has proved anything: OpenSSL reserves what a
// ClientHello claims to be, up to 175 KB, on its first nine bytes. One that claims more than
// kMaxHelloBytes, or a handshake that does not come to an end, is turned away here.
class HelloGuard {
 public:
  static constexpr std::size_t kMaxHelloBytes = std::size_t{16} * 1024 - 4;
  static constexpr std::size_t kMaxHandshakeBytes = std::size_t{64} * 1024;

  // Whether OpenSSL may have the next piece of the client's stream.
  bool admits(std::span<const std::uint8_t> piece);

  // There is no second hello: the version agreed upon is TLS 1.2, whose next message may be
  // encrypted already.
  void expect_no_other() { messages_ = kMaxHellos; }

 private:
  // The second comes after a HelloRetryRequest. All that follows is of OpenSSL's bounded kinds.
  static constexpr std::uint8_t kMaxHellos = 2;

  // A header, which may come in pieces.
  template <std::size_t kSize>
  struct Header {
    std::array<std::uint8_t, kSize> bytes{};
    std::uint8_t filled = 0;

    // Takes from the front of `piece`; whether it is complete, and the next one is to come.
    bool take(std::span<const std::uint8_t>& piece) {
      const std::size_t n = std::min(kSize - filled, piece.size());
      std::copy_n(piece.begin(), n, bytes.begin() + filled);
      piece = piece.subspan(n);
      filled = static_cast<std::uint8_t>(filled + n);
      if (filled < kSize) return false;
      filled = 0;
      return true;
    }
  };

  bool admits_messages(std::span<const std::uint8_t> body);

  Header<5> record_;   // RFC 8446, 5.1
  Header<4> message_;  // RFC 8446, 4
  bool is_handshake_ = false;
  std::uint8_t messages_ = 0;
  std::uint16_t record_left_ = 0;
  std::uint32_t message_left_ = 0;
  std::size_t seen_ = 0;
};

}  // namespace epulse::tls
