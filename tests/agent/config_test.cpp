#include "agent/config/config.hpp"

#include <gtest/gtest.h>

#include <fmt/format.h>
#include <filesystem>
#include <set>

#include "agent/config/keys.hpp"
#include "agent/config/nearest.hpp"
#include "agent/config/usable.hpp"
#include "tests/agent/temp_dir.hpp"

namespace epulse::config {
namespace {

std::string error_in(const std::string& text) {
  return error_of([&] { parse(text, "f.toml"); });
}

TEST(Config, ExampleGivesTheDefaults) {
  EXPECT_EQ(parse(example(), "example"), Config{});
  EXPECT_EQ(parse("", "empty"), Config{});
}

TEST(Config, ExampleShowsEveryKeyOnce) {
  std::set<std::string> seen;
  for (const Key& key : keys()) {
    EXPECT_TRUE(seen.insert(std::string(key.table) + "." + std::string(key.name)).second);
    const std::string before = key.table == kRuleTable ? "\n# " : "\n";
    EXPECT_NE(example().find(before + std::string(key.name) + " = "), std::string::npos)
        << key.name;
    EXPECT_FALSE(key.help.empty()) << key.name;
  }
}

// A key whose accessor names another key's field would pass every test of that other key.
TEST(Config, EveryKeySetsAFieldOfItsOwn) {
  for (const Key& key : keys()) {
    if (key.table == kRuleTable) continue;  // below
    const auto line = [&](const std::string& value) {
      return "[" + std::string(key.table) + "]\n" + std::string(key.name) + " = " + value + "\n";
    };
    std::string value;
    if (const auto* const integer = std::get_if<IntegerKey>(&key.type)) {
      value = std::to_string(integer->max);
    } else if (std::holds_alternative<ShareKey>(key.type)) {
      value = "0.9375";
    } else if (std::holds_alternative<FlagKey>(key.type)) {
      value = default_text(key) == "true" ? "false" : "true";
    } else if (const auto* const choice = std::get_if<ChoiceKey>(&key.type)) {
      value = "\"" + std::string(choice->choices.back()) + "\"";
    } else if (std::holds_alternative<CommandKey>(key.type)) {
      value = R"(["/bin/true", "x"])";
    } else {
      value = key.name.ends_with("url") ? R"("http://elsewhere")" : R"("/elsewhere")";
    }
    const Config changed = parse(line(value), "f.toml");
    EXPECT_NE(changed, Config{}) << key.table << '.' << key.name;
    // With every other key at its default in the file, so that one which shares the field wins
    // once.
    std::string all;
    std::string_view table;
    for (const Key& other : keys()) {
      if (other.table == kRuleTable) continue;
      if (other.table != table) all += "[" + std::string(other.table) + "]\n";
      table = other.table;
      all +=
          std::string(other.name) + " = " + (&other == &key ? value : default_text(other)) + "\n";
    }
    EXPECT_EQ(parse(all, "f.toml"), changed) << key.table << '.' << key.name;
  }
}

TEST(Config, ReadsValues) {
  const Config c = parse(
      "[agent]\nmode = \"apply\"\nlog_level = \"debug\"\nstate_dir = \"/var/lib/epulse\"\n"
      "[alerts]\ndepth_max = 7\n[tuner.affinity]\nimprovement_min = 0.5\nenabled = false\n"
      "[tuner.socket_buffers]\npressure_share = 1\n",
      "f.toml");
  EXPECT_EQ(c.agent.mode, Mode::kApply);
  EXPECT_EQ(c.agent.log_level, "debug");
  EXPECT_EQ(c.agent.state_dir, "/var/lib/epulse");
  EXPECT_EQ(c.alerts.depth_max, 7U);
  EXPECT_EQ(c.affinity.improvement_min, 0.5);
  EXPECT_FALSE(c.affinity.enabled);
  EXPECT_EQ(c.socket_buffers.pressure_share, 1.0) << "an integer is a number, too";
}

TEST(Config, OutOfRangeNamesLineAndRange) {
  EXPECT_EQ(error_in("\n[alerts]\n\ndepth_max = -3\n"),
            "f.toml:4: alerts.depth_max = -3 is out of range; allowed: 1 to 1000000");
  EXPECT_EQ(error_in("[agent]\ninterval_ms = 60001"),
            "f.toml:2: agent.interval_ms = 60001 is out of range; allowed: 100 to 60000");
  EXPECT_EQ(error_in("[tuner.affinity]\ndelay_share_min = 1.5"),
            "f.toml:2: tuner.affinity.delay_share_min = 1.5 is out of range; allowed: 0 to 1");
  EXPECT_EQ(error_in("[tuner.affinity]\ndelay_share_min = nan"),
            "f.toml:2: tuner.affinity.delay_share_min = nan is out of range; allowed: 0 to 1");
  EXPECT_EQ(error_in("[agent]\nstate_dir = \"run/epulse\""),
            "f.toml:2: agent.state_dir = \"run/epulse\" cannot be used; allowed: an absolute path, "
            "\"/...\"");
  EXPECT_EQ(error_in("[agent]\nmode = \"aply\"")
                .find("f.toml:2: agent.mode = \"aply\" cannot be used, did you mean apply?"),
            0U);
}

TEST(Config, BoundsThemselvesAreAllowed) {
  EXPECT_EQ(parse("[agent]\ninterval_ms = 100", "f").agent.interval_ms, 100U);
  EXPECT_EQ(parse("[agent]\ninterval_ms = 60000", "f").agent.interval_ms, 60000U);
  EXPECT_NE(error_in("[agent]\ninterval_ms = 99"), "");
}

TEST(Config, WrongTypeNamesBoth) {
  EXPECT_EQ(
      error_in("[agent]\ninterval_ms = \"1s\""),
      "f.toml:2: agent.interval_ms is a string; it must be an integer; allowed: 100 to 60000");
  EXPECT_EQ(
      error_in("[agent]\ninterval_ms = 1000.0"),
      "f.toml:2: agent.interval_ms is a floating-point number; it must be an integer; allowed: "
      "100 to 60000");
  EXPECT_EQ(
      error_in("[tuner.affinity]\nenabled = 1"),
      "f.toml:2: tuner.affinity.enabled is an integer; it must be a boolean; allowed: true or "
      "false");
  EXPECT_EQ(error_in("[tuner.affinity]\nimprovement_min = true"),
            "f.toml:2: tuner.affinity.improvement_min is a boolean; it must be a number; allowed: "
            "0.01 to 0.99");
  EXPECT_EQ(
      error_in("[agent]\nmode = [\"auto\"]").find("f.toml:2: agent.mode is an array; it must"), 0U);
  EXPECT_EQ(error_in("[agent.mode]\nx = 1").find("f.toml:1: agent.mode is a table; it must"), 0U);
  EXPECT_EQ(error_in("alerts = 3"), "f.toml:1: alerts is an integer; it must be a table: [alerts]");
  EXPECT_EQ(error_in("[[alerts]]"), "f.toml:1: alerts is an array; it must be a table: [alerts]");
  EXPECT_EQ(error_in("[agent]\nstate_dir = 1979-05-27").find("f.toml:2: agent.state_dir is a date"),
            0U);
}

TEST(Config, UnknownNamesListWhatIsAllowed) {
  EXPECT_EQ(
      error_in("[alerts]\ndepth_mux = 3"),
      "f.toml:2: alerts.depth_mux is not known, did you mean depth_max?; allowed in [alerts]: "
      "depth_max, wakeup_p99_us, stalled_s, for_intervals, clear_intervals, min_samples, rule, "
      "exec, "
      "alertmanager, capture");
  EXPECT_EQ(
      error_in("[alert]\ndepth_max = 3"),
      "f.toml:1: alert is not known, did you mean alerts?; allowed at the top: agent, probes, "
      "alerts, tuner");
  EXPECT_EQ(error_in("[tuner.afinity]\n"),
            "f.toml:1: tuner.afinity is not known, did you mean affinity?; allowed in [tuner]: "
            "affinity, socket_buffers, server_buffers, host_advice");
  EXPECT_EQ(error_in("verbose = true"),
            "f.toml:1: verbose is not known; allowed at the top: agent, probes, alerts, tuner");
}

TEST(Config, FirstErrorInTheFileIsReported) {
  EXPECT_EQ(error_in("[probes]\nsample_every = -1\n[agent]\ninterval_ms = 1\n").find("f.toml:2:"),
            0U);
}

TEST(Config, SyntaxErrorsHaveLineAndColumn) {
  EXPECT_EQ(error_in("[agent]\ninterval_ms = = 3\n").find("f.toml:2:15: "), 0U)
      << error_in("[agent]\ninterval_ms = = 3\n");
  EXPECT_EQ(error_in("[agent\n").find("f.toml:1:"), 0U);
}

TEST(Config, DuplicatesAreErrors) {
  EXPECT_EQ(error_in("[agent]\ninterval_ms = 200\ninterval_ms = 300\n").find("f.toml:3:"), 0U)
      << error_in("[agent]\ninterval_ms = 200\ninterval_ms = 300\n");
  EXPECT_EQ(error_in("[agent]\n[alerts]\n[agent]\n").find("f.toml:3:"), 0U);
}

TEST(Config, ErrorsAreOneLine) {
  for (const char* const text : {"[agent]\nmode = \"\"\"a\nb\"\"\"", "x = \"\n",
                                 "[agent]\nmode = \"a\\nb\"", "\"a\\nb\" = 1"}) {
    EXPECT_NE(error_in(text), "") << text;
    EXPECT_EQ(error_in(text).find('\n'), std::string::npos) << error_in(text);
  }
}

TEST(Config, FilesThatCannotBeRead) {
  const TempDir dir;
  EXPECT_NE(error_of([&] { load(dir.file("none.toml")); }).find("none.toml: No such file"),
            std::string::npos);
  EXPECT_NE(error_of([&] { load(dir.path()); }).find("Is a directory"), std::string::npos);
  EXPECT_NE(error_of([&] { load("/dev/zero"); }).find("larger than"), std::string::npos);
  write_text(dir.file("ok.toml"), "[alerts]\ndepth_max = 8\n");
  EXPECT_EQ(load(dir.file("ok.toml")).alerts.depth_max, 8U);
}

TEST(Nearest, SuggestsOnlyWhatIsNear) {
  const std::vector<std::string_view> names = {"depth_max", "min_samples"};
  EXPECT_EQ(nearest("depthmax", names), "depth_max");
  EXPECT_EQ(nearest("mim_samples", names), "min_samples");
  EXPECT_EQ(nearest("colour", names), "");
}

const std::string kRule =
    "[[alerts.rule]]\nname = \"slow\"\nmetric = \"handler\"\nthreshold = 5000\n";

TEST(Config, ReadsRules) {
  const Config c = parse(kRule +
                             "[[alerts.rule]]\nname = \"idle\"\nmetric = \"waits\"\n"
                             "statistic = \"rate\"\ncomparison = \"below\"\nthreshold = 1.5\n"
                             "hysteresis = 0.25\nfor_s = 30\nclear_s = 0\nmin_samples = 7\n"
                             "severity = \"critical\"\nlabels = { team = \"edge\", a_1 = \"\" }\n",
                         "f.toml");
  ASSERT_EQ(c.alerts.rules.size(), 2U);
  AlertRule slow;
  slow.name = "slow";
  slow.metric = "handler";
  slow.threshold = 5000;
  EXPECT_EQ(c.alerts.rules[0], slow) << "all else at its default";
  const AlertRule idle{"idle",
                       "waits",
                       "rate",
                       "below",
                       1.5,
                       0.25,
                       30,
                       0,
                       7,
                       "critical",
                       {{"team", "edge"}, {"a_1", ""}}};
  EXPECT_EQ(c.alerts.rules[1], idle);
}

TEST(Config, RulesThatMeanNothingAreRefused) {
  const auto expect = [](const std::string& text, const std::string& part) {
    EXPECT_NE(error_in(text).find(part), std::string::npos) << error_in(text);
  };
  expect("[[alerts.rule]]\nmetric = \"handler\"\nthreshold = 1\n",
         "f.toml:1: a rule without a name");
  expect("[[alerts.rule]]\nname = \"a\"\nthreshold = 1\n", "without a metric");
  expect("[[alerts.rule]]\nname = \"a\"\nmetric = \"handler\"\n", "without a threshold");
  expect(kRule + kRule, "f.toml:5: there is a rule \"slow\" already");
  expect(kRule + "metrik = 1\n", "did you mean metric?");
  expect("[[alerts.rule]]\nname = \"A\"\nmetric = \"handler\"\ntreshold = 5\n",
         "f.toml:4: alerts.rule.treshold is not known, did you mean threshold?");
  expect(kRule + "statistic = \"rate\"\n",
         "there is no rate of handler; its statistics: max, mean");
  expect("[[alerts.rule]]\nname = \"a\"\nmetric = \"hander\"\nthreshold = 1\n",
         "f.toml:3: alerts.rule.metric = \"hander\" cannot be used, did you mean handler?");
  expect(kRule + "labels = { \"a-b\" = \"x\" }\n", "labels.a-b");
  expect(kRule + "labels = { __a = \"x\" }\n", "labels.__a");
  for (const std::string name : {"1a", "", "a b", "a.b", "a:b", "\u00e4"}) {
    expect(fmt::format("{}labels = {{ ok = \"x\", \"{}\" = \"x\" }}\n", kRule, name),
           fmt::format("f.toml:5: alerts.rule.labels.{} = \"x\" cannot be used; allowed: {{ name = "
                       "\"text\", ... }}, each name [a-zA-Z_][a-zA-Z0-9_]*",
                       name));
  }
  EXPECT_EQ(error_in(kRule + "labels = { _ = \"x\", aZ_9 = \"x\" }\n"), "");
  expect(kRule + "labels = { a = 1 }\n", "a table of strings");
  expect(kRule + "labels = { severity = \"page\" }\n", "or set the rule's severity");
  expect(kRule + "labels = { tid = \"1\" }\n", "the label tid is epulsed's own");
  expect("[[alerts.rule]]\nname = \"EpulseWakeupLate\"\nmetric = \"handler\"\nthreshold = 1\n",
         "so a built-in one is called");
  expect(kRule + "severity = \"dire\"\n", "\"info\", \"warning\", \"critical\"");
  expect("[alerts]\nrule = 3\n", "[[alerts.rule]]");
  expect("[alerts]\nrule = [3]\n", "[[alerts.rule]]");
  expect("[alerts.rule]\nname = \"a\"\n", "[[alerts.rule]]");
}

TEST(Config, AThresholdOfAShareIsOne) {
  const auto error = [](const std::string& metric, const std::string& threshold) {
    return error_in("[[alerts.rule]]\nname = \"a\"\nthreshold = " + threshold + "\nmetric = \"" +
                    metric + "\"\nstatistic = \"mean\"\n");
  };
  for (const char* const metric : {"run_share", "delay_share"}) {
    for (const char* const threshold : {"50", "1.01", "-0.5", "inf"}) {
      EXPECT_EQ(
          error(metric, threshold),
          fmt::format("f.toml:3: alerts.rule.threshold = {} is out of range: {} is a share of "
                      "the time; allowed: 0 to 1, as 0.5 for 50 %",
                      threshold, metric));
    }
    for (const char* const threshold : {"0", "0.5", "1", "1.0"}) {
      EXPECT_EQ(error(metric, threshold), "") << metric << ' ' << threshold;
    }
    EXPECT_NE(error(metric, "nan"), "");
  }
  EXPECT_EQ(error("run_queue_delay", "50"), "") << "microseconds";
}

TEST(Config, SinksAreChecked) {
  const auto expect = [](const std::string& text, const std::string& part) {
    EXPECT_NE(error_in(text).find(part), std::string::npos) << error_in(text);
  };
  expect("[alerts.exec]\ncommand = \"/bin/true\"\n", "an array of strings");
  expect("[alerts.exec]\ncommand = [\"true\"]\n", "/path/of/a/program");
  expect("[alerts.exec]\ncommand = [\"/bin/true\", 1]\n", "an array of strings");
  expect("[alerts.alertmanager]\nurl = \"localhost:9093\"\n", "http://");
  for (const std::string key : {"url", "generator_url"}) {
    const auto with = [&](const std::string& url) {
      return fmt::format("[alerts.alertmanager]\n{} = \"{}\"\n", key, url);
    };
    for (const std::string url :
         {"http://", "https://", "http:///api", "http://:9093", "http://?x", "http://a b",
          "http://a /x", "http:// a", "http://host:99999", "http://host:port", "http://[::1",
          "ftp://host", "file:///etc/passwd", "host", "//host", "http:host\\n",
          "http://h\\u0000"}) {
      expect(with(url), "f.toml:2: alerts.alertmanager." + key + " = \"");
      expect(with(url), "cannot be used; allowed: empty, or http://HOST or https://HOST");
    }
    for (const std::string url :
         {"", "http://a", "https://a.b.c:9093/", "http://[::1]:9093", "http://u:p@10.0.0.1/am/"}) {
      EXPECT_EQ(error_in(with(url)), "");
    }
  }
  // A link may have more than a path; what a path is put behind may not.
  for (const std::string url : {"http://h/?a=%20b#c", "http://h/d?u=file:///x"}) {
    EXPECT_EQ(error_in("[alerts.alertmanager]\ngenerator_url = \"" + url + "\"\n"), "");
    expect("[alerts.alertmanager]\nurl = \"" + url + "\"\n", "alerts.alertmanager.url = \"");
  }
  expect("[alerts.alertmanager]\nurl = \"http://h:9093/api/v2/alerts\"\n",
         "without /api/v2/alerts, which is put behind it");
  expect("[alerts.capture]\ndir = \"here\"\n", "absolute path");
}

TEST(Config, WhatItNamesMustBeThere) {
  const TempDir dir;
  write_text(dir.file("plain"), "no program");
  const auto error = [](const std::string& command, const std::string& capture) {
    Config config;
    if (!command.empty()) config.alerts.exec.command = {command};
    config.alerts.capture.dir = capture;
    return error_of([&] { require_usable(config); });
  };
  const auto has = [](const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  };
  EXPECT_EQ(error("", ""), "");
  EXPECT_EQ(error("/bin/true", dir.path()), "");
  EXPECT_TRUE(has(error(dir.file("gone"), ""), "alerts.exec.command: ")) << "names the key";
  EXPECT_TRUE(has(error(dir.file("gone"), ""), "No such file")) << error(dir.file("gone"), "");
  EXPECT_TRUE(has(error(dir.file("plain"), ""), "chmod +x")) << error(dir.file("plain"), "");
  EXPECT_TRUE(has(error(dir.path(), ""), "it is no file"));
  std::filesystem::permissions(dir.file("plain"), std::filesystem::perms::all);
  EXPECT_TRUE(has(error(dir.file("plain"), ""), "others may change"));
  EXPECT_TRUE(has(error("", dir.file("gone")), "alerts.capture.dir: "));
  EXPECT_TRUE(has(error("", dir.file("plain")), "is no directory"));
  std::filesystem::permissions(dir.path(), std::filesystem::perms::all);
  EXPECT_TRUE(has(error("", dir.path()), "others may write in"));
  Config config;
  config.agent.group = "daemon";
  EXPECT_EQ(error_of([&] { require_usable(config); }), "");
  config.agent.group = "daemom";
  EXPECT_EQ(error_of([&] { require_usable(config); }),
            "agent.group: there is no group daemom; name one that is there, make it (groupadd "
            "daemom), or leave it empty");
}

}  // namespace
}  // namespace epulse::config
