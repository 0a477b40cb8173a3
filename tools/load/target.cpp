#include "tools/load/target.hpp"

#include <netdb.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "tools/load/error.hpp"

namespace epulse::load {
namespace {

[[noreturn]] void refuse(std::string_view url, std::string_view why) {
  fail(
      "cannot use the address '{}': {}; write it as ws://HOST:PORT/PATH, wss:// for TLS, or "
      "tcp://HOST:PORT",
      url, why);
}

struct FreeAddresses {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};

}  // namespace

Target parse_url(std::string_view url) {
  constexpr std::string_view kPlain = "ws://";
  constexpr std::string_view kTls = "wss://";
  constexpr std::string_view kRaw = "tcp://";
  Target target;
  target.tls = url.starts_with(kTls);
  target.raw = url.starts_with(kRaw);
  if (!target.tls && !target.raw && !url.starts_with(kPlain)) {
    refuse(url, "not a ws://, wss:// or tcp:// address");
  }
  const std::string_view scheme = target.tls ? kTls : target.raw ? kRaw : kPlain;
  const std::string_view rest = url.substr(scheme.size());
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  target.authority = rest.substr(0, slash);
  target.path = slash < rest.size() ? rest.substr(slash) : "/";
  if (target.path.find_first_of("# \r\n") != std::string::npos) refuse(url, "bad path");

  const std::string_view authority = target.authority;
  const std::size_t bracket = authority.starts_with('[') ? authority.find(']') : 0;
  if (bracket == std::string_view::npos) refuse(url, "no closing bracket");
  const std::size_t colon = authority.find(':', bracket);
  target.host = authority.substr(0, colon);
  target.port =
      colon == std::string_view::npos ? (target.tls ? "443" : "80") : authority.substr(colon + 1);
  if (bracket != 0) target.host = authority.substr(1, bracket - 1);
  if (target.host.empty()) refuse(url, "no host");
  const bool digits = !target.port.empty() && target.port.size() <= 5 &&
                      target.port.find_first_not_of("0123456789") == std::string::npos;
  if (!digits || std::stoi(target.port) > 65535) refuse(url, "not a port");
  return target;
}

void resolve(Target& target) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int code = getaddrinfo(target.host.c_str(), target.port.c_str(), &hints, &found);
  if (code != 0) {
    fail("cannot look up {}: {}; is the name right?", target.host, gai_strerror(code));
  }
  const std::unique_ptr<addrinfo, FreeAddresses> list(found);
  // "localhost" has both kinds of address, and a server that listens on one listens on IPv4.
  const addrinfo* chosen = list.get();
  for (const addrinfo* entry = list.get(); entry != nullptr; entry = entry->ai_next) {
    if (entry->ai_family == AF_INET) {
      chosen = entry;
      break;
    }
  }
  if (chosen == nullptr) fail("cannot look up {}: no address; is the name right?", target.host);
  std::memcpy(&target.address, chosen->ai_addr, chosen->ai_addrlen);
  target.address_size = chosen->ai_addrlen;
}

void resolve_sources(Target& target, const std::vector<std::string>& sources) {
  for (const std::string& text : sources) {
    addrinfo hints{};
    hints.ai_family = target.address.ss_family;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICHOST;
    addrinfo* found = nullptr;
    const int code = getaddrinfo(text.c_str(), nullptr, &hints, &found);
    const std::unique_ptr<addrinfo, FreeAddresses> list(found);
    if (code != 0) {
      fail("cannot connect from '{}': {}; --source wants {} addresses of this host, as {} has",
           text, gai_strerror(code), hints.ai_family == AF_INET6 ? "IPv6" : "IPv4", target.host);
    }
    sockaddr_storage source{};
    std::memcpy(&source, list->ai_addr, list->ai_addrlen);
    target.sources.push_back(source);
  }
}

}  // namespace epulse::load
