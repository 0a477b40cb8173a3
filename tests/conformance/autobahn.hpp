#pragma once

#include <vector>

#include "tests/conformance/script.hpp"

// The cases of the Autobahn Testsuite (fuzzingclient, 0.8), under its numbers: 1 to 7, 9, 10, 12
// and
// 13. What it calls non-strict fails here, and so does what it only reports.
namespace epulse::conformance {

std::vector<Case> autobahn_framing();        // 1: messages of every length form
std::vector<Case> autobahn_pings();          // 2: pings and pongs
std::vector<Case> autobahn_reserved();       // 3 and 4: reserved bits and opcodes
std::vector<Case> autobahn_fragmentation();  // 5
std::vector<Case> autobahn_utf8();           // 6
std::vector<Case> autobahn_closing();        // 7
std::vector<Case> autobahn_limits();         // 9 and 10: large messages, many messages

// Numbers of the cases of which there are several with a common prefix: "1_1_" and 1 to ...
std::string numbered(const std::string& prefix, std::size_t index);

// Whether all that Autobahn sends is to be sent: EPULSE_CONFORMANCE=full.
bool is_full_run();

}  // namespace epulse::conformance
