#include "agent/config/config.hpp"

#include <fcntl.h>
#include <toml++/toml.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>
#include <sstream>
#include <string_view>
#include <type_traits>
#include <vector>

#include "agent/alerts/metrics.hpp"
#include "agent/config/keys.hpp"
#include "agent/config/nearest.hpp"
#include "agent/error.hpp"

namespace epulse::config {
namespace {

// What every alarm has, of itself and of whom it is about (agent/daemon/alarms.cpp).
constexpr std::string_view kOwnLabels[] = {"alertname", "severity", "host",   "process",
                                           "pid",       "tid",      "thread", "epfd"};

constexpr std::string_view kBuiltInRules[] = {kDepthRule, kWakeupRule, kStalledRule};

constexpr size_t kFileBytesMax = 1 << 20;  // a configuration, not a mistaken device or log file

std::string read_file(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    fail("cannot open the configuration {}: {}; `epulsed --print-config` prints one to start from",
         path, errno_text(errno));
  }
  std::string text;
  std::array<char, 16384> chunk{};
  ssize_t got = 0;
  while (text.size() <= kFileBytesMax && (got = read(fd, chunk.data(), chunk.size())) > 0) {
    text.append(chunk.data(), static_cast<size_t>(got));
  }
  const int error = errno;
  close(fd);
  if (got < 0) fail("cannot read the configuration {}: {}", path, errno_text(error));
  if (text.size() > kFileBytesMax) {
    fail("{} is larger than {} bytes: not a configuration file", path, kFileBytesMax);
  }
  return text;
}

std::string type_name(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "an array";
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a floating-point number";
    case toml::node_type::boolean:
      return "a boolean";
    default:
      return "a date or time";
  }
}

std::string value_text(const toml::node& node) {
  if (const auto* const text = node.as_string()) return fmt::format("\"{}\"", text->get());
  std::ostringstream out;
  node.visit([&](const auto& value) { out << value; });
  return out.str();
}

// An error is one line, whatever names and values it quotes from the file.
std::string one_line(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }, '?');
  return text;
}

std::string list(const std::vector<std::string_view>& names) {
  std::string text;
  for (const std::string_view name : names) {
    text += text.empty() ? "" : ", ";
    text += name;
  }
  return text;
}

bool is_inside(std::string_view table, std::string_view parent) {
  return table.size() > parent.size() && table.substr(0, parent.size()) == parent &&
         table[parent.size()] == '.';
}

// What may stand in `table`: its keys, and the next part of the names of the tables below it.
std::vector<std::string_view> names_in(std::string_view table) {
  std::vector<std::string_view> names;
  for (const Key& key : keys()) {
    std::string_view name;
    if (key.table == table) {
      name = key.name;
    } else if (table.empty() || is_inside(key.table, table)) {
      const std::string_view rest = key.table.substr(table.empty() ? 0 : table.size() + 1);
      name = rest.substr(0, rest.find('.'));
    } else {
      continue;
    }
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  return names;
}

// As Prometheus has them; those of two underscores are its own.
bool is_label_name(std::string_view name) {
  const auto is_letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  return !name.empty() && is_letter(name[0]) && !name.starts_with("__") &&
         std::all_of(name.begin(), name.end(),
                     [&](char c) { return is_letter(c) || (c >= '0' && c <= '9'); });
}

const Key* find_key(std::string_view table, std::string_view name) {
  for (const Key& key : keys()) {
    if (key.table == table && key.name == name) return &key;
  }
  return nullptr;
}

class Loader {
 public:
  explicit Loader(const std::string& source) : source_(source) {}

  void read_table(const toml::table& table, const std::string& path) {
    const std::vector<std::string_view> allowed_names = names_in(path);
    for (const auto& [name, node] : table) {
      const std::string full =
          path.empty() ? std::string(name) : fmt::format("{}.{}", path, name.str());
      const uint32_t line = name.source().begin.line;
      if (full == kRuleTable) {
        read_rules(node);
      } else if (const Key* const key = find_key(path, name); key != nullptr) {
        read_value(*key, full, node);
      } else if (std::find(allowed_names.begin(), allowed_names.end(), name.str()) ==
                 allowed_names.end()) {
        report_unknown(line, name, full, allowed_names, path);
      } else if (const toml::table* const inner = node.as_table(); inner != nullptr) {
        read_table(*inner, full);
      } else {
        report(line,
               fmt::format("{} is {}; it must be a table: [{}]", full, type_name(node), full));
      }
    }
  }

  // Tables come in the order of their names; the error a reader wants is the first in the file.
  Config result() const {
    const auto first =
        std::min_element(problems_.begin(), problems_.end(),
                         [](const Problem& a, const Problem& b) { return a.line < b.line; });
    if (first != problems_.end()) fail("{}:{}: {}", source_, first->line, one_line(first->text));

    return config_;
  }

 private:
  struct Problem {
    uint32_t line;
    std::string text;
  };

  void read_rules(const toml::node& node) {
    const toml::array* const rules = node.as_array();
    if (rules == nullptr || (!rules->empty() && !rules->is_array_of_tables())) {
      return report(node.source().begin.line,
                    fmt::format("{} is {}; each rule is a table of its own: [[{}]]", kRuleTable,
                                type_name(node), kRuleTable));
    }
    for (const toml::node& one : *rules) {
      config_.alerts.rules.emplace_back();
      const size_t known = problems_.size();
      check_share(*one.as_table());  // first: it can say more of the threshold than its key
      read_table(*one.as_table(), std::string(kRuleTable));
      check_rule(*one.as_table(), problems_.size() != known);
    }
  }

  void check_share(const toml::table& table) {
    const auto metric = table["metric"].value<std::string_view>();
    const auto names = alerts::metric_names();
    if (!metric || std::find(names.begin(), names.end(), *metric) == names.end()) return;
    if (!alerts::is_share(alerts::metric(*metric))) return;
    const auto threshold = table["threshold"].value<double>();
    if (!threshold || (*threshold >= 0 && *threshold <= 1)) return;
    const toml::node& node = *table.get("threshold");
    report(node.source().begin.line,
           fmt::format("{}.threshold = {} is out of range: {} is a share of the time; allowed: 0 "
                       "to 1, as 0.5 for 50 %",
                       kRuleTable, value_text(node), *metric));
  }

  // What the keys by themselves do not show.
  void check_rule(const toml::table& table, bool has_problems) {
    const AlertRule& rule = config_.alerts.rules.back();
    const uint32_t line = table.source().begin.line;
    for (const char* const needed : {"name", "metric", "threshold"}) {
      // A key that is missing may be there with a slip of the pen, which has been said.
      if (table.contains(needed) || has_problems) continue;
      return report(line, fmt::format("a rule without a {}; each needs one", needed));
    }
    const auto& all = config_.alerts.rules;
    if (std::any_of(all.begin(), all.end() - 1,
                    [&](const AlertRule& other) { return other.name == rule.name; })) {
      report(line, fmt::format("there is a rule \"{}\" already; names must differ", rule.name));
    }
    if (std::find(std::begin(kBuiltInRules), std::end(kBuiltInRules), rule.name) !=
        std::end(kBuiltInRules)) {
      report(line, fmt::format("rule \"{}\": so a built-in one is called (alerts.depth_max, "
                               "alerts.wakeup_p99_us, alerts.stalled_s); choose another name",
                               rule.name));
    }
    for (const auto& [label, text] : rule.labels) {
      if (std::find(std::begin(kOwnLabels), std::end(kOwnLabels), label) == std::end(kOwnLabels)) {
        continue;
      }
      report(line, fmt::format("rule \"{}\": the label {} is epulsed's own; choose another name{}",
                               rule.name, label,
                               label == "severity" ? ", or set the rule's severity" : ""));
    }
    if (rule.metric.empty()) return;  // not known, which has been said
    std::vector<std::string_view> names;
    for (const auto statistic : alerts::statistics_of(alerts::metric(rule.metric))) {
      names.push_back(alerts::name_of(statistic));
    }
    if (std::find(names.begin(), names.end(), rule.statistic) == names.end()) {
      report(line, fmt::format("rule \"{}\": there is no {} of {}; its statistics: {}", rule.name,
                               rule.statistic, rule.metric, list(names)));
    }
  }

  void report(uint32_t line, std::string text) { problems_.push_back({line, std::move(text)}); }

  void report_unknown(uint32_t line, std::string_view name, const std::string& full,
                      const std::vector<std::string_view>& allowed_names, const std::string& path) {
    const std::string_view meant = nearest(name, allowed_names);
    report(line, fmt::format("{} is not known{}; allowed {}: {}", full,
                             meant.empty() ? "" : fmt::format(", did you mean {}?", meant),
                             path.empty() ? "at the top" : fmt::format("in [{}]", path),
                             list(allowed_names)));
  }

  void report_type(const toml::node& node, const std::string& full, const char* expected,
                   const Key& key) {
    report(node.source().begin.line, fmt::format("{} is {}; it must be {}; allowed: {}", full,
                                                 type_name(node), expected, allowed(key)));
  }

  void report_range(const toml::node& node, const std::string& full, const Key& key) {
    report(node.source().begin.line, fmt::format("{} = {} is out of range; allowed: {}", full,
                                                 value_text(node), allowed(key)));
  }

  // Of words and paths.
  void report_text(const toml::node& node, const std::string& full, const Key& key,
                   std::string_view meant = {}) {
    report(
        node.source().begin.line,
        fmt::format("{} = {} cannot be used{}; allowed: {}", full, value_text(node),
                    meant.empty() ? "" : fmt::format(", did you mean {}?", meant), allowed(key)));
  }

  void read_value(const Key& key, const std::string& full, const toml::node& node) {
    std::visit([&](const auto& type) { read_as(type, key, full, node); }, key.type);
  }

  void read_as(const IntegerKey& type, const Key& key, const std::string& full,
               const toml::node& node) {
    const toml::value<int64_t>* const value = node.as_integer();
    if (value == nullptr) return report_type(node, full, "an integer", key);
    if (value->get() < type.min || value->get() > type.max) return report_range(node, full, key);
    type.field(config_) = static_cast<uint64_t>(value->get());
  }

  template <typename Number>
  requires std::is_same_v<Number, ShareKey> || std::is_same_v<Number, NumberKey>
  void read_as(const Number& type, const Key& key, const std::string& full,
               const toml::node& node) {
    if (!node.is_number()) return report_type(node, full, "a number", key);
    const double value = node.value<double>().value_or(type.min - 1);
    if (!(value >= type.min && value <= type.max)) return report_range(node, full, key);  // NaN too
    type.field(config_) = value;
  }

  void read_as(const FlagKey& type, const Key& key, const std::string& full,
               const toml::node& node) {
    const toml::value<bool>* const value = node.as_boolean();
    if (value == nullptr) return report_type(node, full, "a boolean", key);
    type.field(config_) = value->get();
  }

  void read_as(const ChoiceKey& type, const Key& key, const std::string& full,
               const toml::node& node) {
    const toml::value<std::string>* const value = node.as_string();
    if (value == nullptr) return report_type(node, full, "a string", key);
    const auto at = std::find(type.choices.begin(), type.choices.end(), value->get());
    if (at == type.choices.end()) {
      return report_text(node, full, key, nearest(value->get(), type.choices));
    }
    type.set(config_, static_cast<size_t>(at - type.choices.begin()));
  }

  void read_as(const PathKey& type, const Key& key, const std::string& full,
               const toml::node& node) {
    const toml::value<std::string>* const value = node.as_string();
    if (value == nullptr) return report_type(node, full, "a string", key);
    if (!value->get().starts_with('/') || value->get().find('\0') != std::string::npos) {
      return report_text(node, full, key);
    }
    type.field(config_) = value->get();
  }

  void read_as(const TextKey& type, const Key& key, const std::string& full,
               const toml::node& node) {
    const toml::value<std::string>* const value = node.as_string();
    if (value == nullptr) return report_type(node, full, "a string", key);
    if (!type.is_allowed(value->get())) return report_text(node, full, key);
    type.field(config_) = value->get();
  }

  void read_as(const CommandKey& type, const Key& key, const std::string& full,
               const toml::node& node) {
    const toml::array* const value = node.as_array();
    if (value == nullptr) return report_type(node, full, "an array of strings", key);
    std::vector<std::string> command;
    for (const toml::node& part : *value) {
      const toml::value<std::string>* const text = part.as_string();
      if (text == nullptr) return report_type(part, full, "an array of strings", key);
      if (text->get().find('\0') != std::string::npos) return report_text(part, full, key);
      command.push_back(text->get());
    }
    if (!command.empty() && !command[0].starts_with('/')) {
      return report_text((*value)[0], full, key);
    }
    type.field(config_) = std::move(command);
  }

  void read_as(const LabelsKey& type, const Key& key, const std::string& full,
               const toml::node& node) {
    const toml::table* const value = node.as_table();
    if (value == nullptr) return report_type(node, full, "a table of strings", key);
    for (const auto& [name, label] : *value) {
      const toml::value<std::string>* const text = label.as_string();
      if (text == nullptr) return report_type(label, full, "a table of strings", key);
      if (!is_label_name(name))
        return report_text(label, fmt::format("{}.{}", full, name.str()), key);
      type.field(config_).emplace(name.str(), text->get());
    }
  }

  std::string source_;
  Config config_;
  std::vector<Problem> problems_;
};

}  // namespace

Config parse(const std::string& text, const std::string& source) {
  Loader loader(source);
  try {
    loader.read_table(toml::parse(text, source), "");
  } catch (const toml::parse_error& error) {
    fail("{}:{}:{}: {}", source, error.source().begin.line, error.source().begin.column,
         one_line(std::string(error.description())));
  }
  return loader.result();
}

Config load(const std::string& path) {
  return parse(read_file(path), path);
}

std::string example() {
  std::string text =
      "# Configuration of epulsed. Every key is shown with its default; all may be left out.\n";
  std::string_view table;
  for (const Key& key : keys()) {
    // A rule that is there would be one more than the default.
    const bool is_rule = key.table == kRuleTable;
    if (key.table != table) {
      text += is_rule ? fmt::format("\n# Any number of these, each for one more alarm:\n# [[{}]]\n",
                                    key.table)
                      : fmt::format("\n[{}]\n", key.table);
    }
    table = key.table;
    std::istringstream help{std::string(key.help)};
    for (std::string line; std::getline(help, line);) text += fmt::format("# {}\n", line);
    text += fmt::format("# Allowed: {}.\n{}{} = {}\n", allowed(key), is_rule ? "# " : "", key.name,
                        default_text(key));
  }
  return text;
}

}  // namespace epulse::config
