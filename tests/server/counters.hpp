#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

// What a running epulse-ws tells about itself over HTTP.
namespace epulse::testing {

// The answer to a plain GET, head and body.
std::string get(int port, const std::string& path);

// Sum of a counter over the workers, as /stats tells it.
std::uint64_t stat(int port, const std::string& name);
std::uint64_t stat_of_worker(int port, std::size_t worker, const std::string& name);

}  // namespace epulse::testing
