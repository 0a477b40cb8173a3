#pragma once

#include <string>
#include <vector>

namespace epulse::tls {

struct Options {
  std::string certificate_file;          // PEM: the server's own, then those that vouch for it
  std::string key_file;                  // PEM
  bool allow_tls12 = false;              // or else TLS 1.3 only
  std::vector<std::string> early_paths;  // that early data may ask for; none: no early data
};

}  // namespace epulse::tls
