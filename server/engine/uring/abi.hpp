#pragma once

#include <cstdint>

// What the io_uring headers of Debian 12 (Linux 6.1) lack, by the kernel that brought it; the names
// in the kernel's own header stand beside.
namespace epulse::server::uring::abi {

constexpr std::uint8_t kSendmsgZeroCopy = 48;         // IORING_OP_SENDMSG_ZC, 6.1
constexpr std::uint16_t kReportUsage = 1U << 3U;      // IORING_SEND_ZC_REPORT_USAGE, 6.2
constexpr std::uint32_t kZeroCopyCopied = 1U << 31U;  // IORING_NOTIF_USAGE_ZC_COPIED, 6.2

constexpr unsigned kTimeoutMultishot = 1U << 6U;  // IORING_TIMEOUT_MULTISHOT, 6.4

// Operations of IORING_OP_URING_CMD on a socket, 6.7.
constexpr std::uint32_t kSocketUnsent = 1;     // SOCKET_URING_OP_SIOCOUTQ
constexpr std::uint32_t kSocketSetOption = 3;  // SOCKET_URING_OP_SETSOCKOPT

constexpr std::uint8_t kFixedFdInstall = 54;  // IORING_OP_FIXED_FD_INSTALL, 6.8

constexpr std::uint16_t kBuffersIncremental = 2;  // IOU_PBUF_RING_INC, 6.12
constexpr unsigned kBufferMore = 1U << 4U;        // IORING_CQE_F_BUF_MORE, 6.12

constexpr unsigned kEnterNoIowait = 1U << 7U;     // IORING_ENTER_NO_IOWAIT, 6.15
constexpr unsigned kFeatureNoIowait = 1U << 17U;  // IORING_FEAT_NO_IOWAIT, 6.15

}  // namespace epulse::server::uring::abi
