#include "agent/alerts/payload.hpp"

#include <fmt/chrono.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace epulse::alerts {

std::string rfc3339(int64_t unix_ms) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(unix_ms / 1000), unix_ms % 1000);
}

Texts annotations_of(const Alarm& alarm) {
  Texts all = alarm.annotations;
  all["value"] = fmt::format("{:.6g}", alarm.reading.value);
  all["worst"] = fmt::format("{:.6g}", alarm.reading.worst);
  return all;
}

std::string alertmanager_payload(const std::vector<Alarm>& alarms, int64_t fires_until_unix_ms,
                                 const std::string& generator_url) {
  using nlohmann::json;
  json all = json::array();
  for (const Alarm& alarm : alarms) {
    // A clock that was set back must not make it end before it began: that is refused.
    const int64_t fires_until = std::max(fires_until_unix_ms, alarm.starts_unix_ms + 1000);
    json one = {{"labels", alarm.labels},
                {"annotations", annotations_of(alarm)},
                {"startsAt", rfc3339(alarm.starts_unix_ms)},
                {"endsAt", rfc3339(alarm.ends_unix_ms.value_or(fires_until))}};
    if (!generator_url.empty()) one["generatorURL"] = generator_url;
    all.push_back(std::move(one));
  }
  return all.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace epulse::alerts
