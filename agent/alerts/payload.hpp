#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/alerts/alarm.hpp"

namespace epulse::alerts {

// "2026-11-26T08:41:51.250Z", RFC 3339.
std::string rfc3339(int64_t unix_ms);

// All that a receiver is told beside the labels: the annotations, and "value" and "worst".
Texts annotations_of(const Alarm& alarm);

// The body of Alertmanager's POST /api/v2/alerts: an array of labels, annotations, startsAt, endsAt
// and, unless empty, generatorURL. What fires ends at `fires_until_unix_ms`, in the future: should
// nobody say so again by then, Alertmanager takes it for resolved. Bytes that are no UTF-8 become
// U+FFFD.
std::string alertmanager_payload(const std::vector<Alarm>& alarms, int64_t fires_until_unix_ms,
                                 const std::string& generator_url);

}  // namespace epulse::alerts
