#pragma once

#include <optional>

#include "tools/load/rate_search.hpp"
#include "tools/load/result.hpp"
#include "tools/load/run.hpp"

namespace epulse::load {

// What a run at one rate says of the target.
Verdict verdict_on(const Expectation& target, const Result& result);

// Runs one load after the other until the highest rate that holds options.ramp is known. What comes
// of it is the result of the run that held at that rate, or of the last if none did, with all of
// them as its steps. Otherwise as Run::execute().
std::optional<Result> ramp(const Options& options, const Target& target, SSL_CTX* tls,
                           Surroundings& surroundings);

}  // namespace epulse::load
