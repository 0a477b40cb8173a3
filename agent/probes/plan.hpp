#pragma once

#include <string>
#include <vector>

#include "agent/kernel/facts.hpp"

namespace epulse::probes {

enum class Backend { kTracepoint, kProcfs };
enum class Quality { kExact, kEstimated, kAbsent };

struct MetricPlan {
  std::string name;
  Quality quality;
  std::string why;  // empty where exact
};

struct Plan {
  Backend backend;
  std::string why;  // why not the better one; empty for the best
  std::vector<MetricPlan> metrics;
};

// What can be measured, given the facts. Pure: tested without a kernel.
Plan plan(const kernel::Facts& facts);

// The plan for a host where `plan` was too hopeful: loading failed, for this reason.
Plan without_bpf(const kernel::Facts& facts, const std::string& why);

const char* to_string(Backend backend);
const char* to_string(Quality quality);

}  // namespace epulse::probes
