// Lines of the control protocol.
#include <algorithm>

#include "server/control/settings.hpp"
#include "tests/fuzz/target.hpp"

namespace epulse::fuzz {
namespace {

using server::answer_control;
using server::Tunables;

void require_one_object(std::string_view answer) {
  require(answer.starts_with(R"({"version":1,")") && answer.ends_with('}'), "an object");
  require(answer.find_first_of("{}", 1) == answer.size() - 1, "nothing in it is one");
  require(std::all_of(answer.begin(), answer.end(), [](char c) { return c >= ' ' && c <= '~'; }),
          "plain characters in one line");
  require(std::count(answer.begin(), answer.end(), '"') % 2 == 0, "strings end");
}

// Each setting can be put back to what `get` tells, and then is that.
void require_exact_undo(Tunables& tunables) {
  const std::string told = answer_control("get", tunables);
  std::string_view rest = told;
  rest.remove_prefix(rest.find(',') + 1);
  while (rest.size() > 1) {
    const std::string_view pair = rest.substr(0, rest.find_first_of(",}"));
    rest.remove_prefix(pair.size() + 1);
    const std::string_view name = pair.substr(1, pair.find('"', 1) - 1);
    const std::string_view value = pair.substr(pair.find(':') + 1);
    const std::string line = "set " + std::string(name) + ' ' + std::string(value);
    require(answer_control(line, tunables).find("\"error\"") == std::string::npos,
            "what is told is taken");
  }
  require(answer_control("get", tunables) == told, "and is the same");
}

void require_all(std::string_view text) {
  Tunables tunables({.max_connections = 1000}, {});
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string before = answer_control("get", tunables);
    const std::string answer = answer_control(text.substr(0, end), tunables);
    require_one_object(answer);
    if (answer.find("\"error\"") != std::string::npos) {
      require(answer_control("get", tunables) == before, "an error changes nothing");
    }
    require_exact_undo(tunables);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

}  // namespace

std::vector<std::string> seeds() {
  return {"get\nset backlog-cap 4096\nset max-connections 1e6\nset idle-timeout 0.25",
          "set epoll-batch 65536 \n set  epoll-batch  1\nset\nget all\nset nothing 1",
          "set idle-timeout 123456789.123456\nset backlog-cap 999999999999.5"};
}

}  // namespace epulse::fuzz

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  epulse::fuzz::require_all(epulse::fuzz::text_of(data, size));
  return 0;
}
