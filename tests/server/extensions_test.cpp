// What is agreed on in the opening handshake besides the upgrade: RFC 6455, 4, 9.1 and 11.3, and
// RFC 7692, 5, 7 and 7.1. The suites are named after the sections.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "server/ws/client_handshake.hpp"
#include "server/ws/deflate_terms.hpp"
#include "server/ws/handshake.hpp"
#include "server/ws/list_field.hpp"
#include "server/ws/subprotocol.hpp"

namespace epulse::ws {
namespace {

constexpr std::string_view kKey = "dGhlIHNhbXBsZSBub25jZQ==";

ListField field(const std::vector<std::string_view>& lines) {
  ListField out;
  for (const std::string_view line : lines) EXPECT_TRUE(out.add(line));
  return out;
}

// The items of a list as text: "name", "; name", "; name = value", and "!" where it is malformed.
std::string items(const std::vector<std::string_view>& lines) {
  const ListField list = field(lines);
  ListReader reader(list);
  std::string out;
  while (true) {
    switch (reader.next()) {
      case ListReader::Item::kElement:
        out += "[" + std::string(reader.name()) + "]";
        break;
      case ListReader::Item::kParameter:
        out += ";" + std::string(reader.name());
        if (reader.has_value()) out += "=" + std::string(reader.value());
        break;
      case ListReader::Item::kEnd:
        return out;
      case ListReader::Item::kMalformed:
        return out + "!";
    }
  }
}

TEST(Rfc6455_9_1, ListsOfExtensions) {
  EXPECT_EQ(items({"a"}), "[a]");
  EXPECT_EQ(items({"a, b"}), "[a][b]");
  EXPECT_EQ(items({"a;x;y=1, b;z=\"2\""}), "[a];x;y=1[b];z=2");
  EXPECT_EQ(items({"foo; bar; baz=2", "foo"}), "[foo];bar;baz=2[foo]");  // Lines are one list.
}

// RFC 2616, 2.1, of which RFC 6455 takes the list rule and the implied blanks.
TEST(Rfc6455_9_1, EmptyElementsAndBlanks) {
  EXPECT_EQ(items({",a,, b ,"}), "[a][b]");
  EXPECT_EQ(items({"", "a", " , "}), "[a]");
  EXPECT_EQ(items({"\ta ;\tx = 1 ; y\t=\t\"2\" , b"}), "[a];x=1;y=2[b]");
}

TEST(Rfc6455_9_1, QuotedValuesAreTokensOnceUnquoted) {
  EXPECT_EQ(items({R"(a;x="1\5")"}), R"([a];x=1\5)");
  for (const char* value :
       {R"("")", R"(" ")", R"("a b")", R"("a)", R"(")", R"("a\")", R"("a\"")", R"("\\")",
        R"("a\ ")", R"("a,b")", R"("a"b)", "\"a\x80\"", R"("a=b")"}) {
    const std::string text = std::string("a;x=") + value;
    EXPECT_TRUE(items({text}).ends_with("!")) << text;
  }
}

TEST(Rfc6455_9_1, MalformedLists) {
  for (const char* text :
       {"",        " ",    ",",     ", ,",     ";",     ";x",      "a;",  "a;;x",
        "a;=1",    "a;x=", "a;x=,", "a b",     "a;x y", "a;x=1 2", "a=1", "\"a\"",
        "a;\"x\"", "a,b;", "a@b",   "a;x=1=2", "(a)",   "a\x80"}) {
    EXPECT_TRUE(items({text}).ends_with("!")) << text;
    EXPECT_FALSE(is_extension_list(field({text}))) << text;
  }
  EXPECT_TRUE(items({"a", ";x"}).ends_with("!"));  // A parameter stands in the line of its element.
  EXPECT_FALSE(is_extension_list(field({"", " "})));
  EXPECT_TRUE(is_extension_list({}));
}

std::string request(std::string_view fields) {
  return "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n" +
         std::string(fields) + "\r\n";
}

int status_of(std::string_view fields) {
  const std::string text = request(fields);
  const RequestHead head = parse_request(text);
  EXPECT_EQ(head.size, text.size());
  return head.status != 0 ? head.status : check_upgrade(head.request);
}

// 4.2.1: "any violations of the ABNF grammar" are answered with an error.
TEST(Rfc6455_4_2_1, ServerRefusesMalformedListsWith400) {
  EXPECT_EQ(status_of("Sec-WebSocket-Extensions: a; b, c\r\nsec-websocket-extensions: d\r\n"), 101);
  EXPECT_EQ(status_of("Sec-WebSocket-Extensions: a;\r\n"), 400);
  EXPECT_EQ(status_of("Sec-WebSocket-Extensions:\r\n"), 400);
  EXPECT_EQ(status_of("Sec-WebSocket-Extensions: a\r\nSec-WebSocket-Extensions: b=\r\n"), 400);
  EXPECT_EQ(status_of("Sec-WebSocket-Protocol: chat, v2.chat\r\n"), 101);
  EXPECT_EQ(status_of("Sec-WebSocket-Protocol: chat v2\r\n"), 400);
  EXPECT_EQ(status_of("Sec-WebSocket-Protocol: a;b\r\n"), 400);
  EXPECT_EQ(status_of("Sec-WebSocket-Protocol: \"a\"\r\n"), 400);
  EXPECT_EQ(status_of("Sec-WebSocket-Protocol: ,\r\n"), 400);
}

// 4.1, 10: "MUST all be unique strings".
TEST(Rfc6455_4_1, SubprotocolsAreUnique) {
  EXPECT_EQ(status_of("Sec-WebSocket-Protocol: a, A\r\n"), 101);
  EXPECT_EQ(status_of("Sec-WebSocket-Protocol: a, b, a\r\n"), 400);
  EXPECT_EQ(status_of("Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: a\r\n"), 400);
}

TEST(Rfc6455_11_3, ListsAreBounded) {
  std::string lines;
  for (std::size_t i = 0; i < ListField::kMaxLines; ++i) lines += "Sec-WebSocket-Extensions: a\r\n";
  EXPECT_EQ(status_of(lines), 101);
  EXPECT_EQ(status_of(lines + "Sec-WebSocket-Extensions: a\r\n"), 431);
  std::string names = "p0";
  for (std::size_t i = 1; i < kMaxProtocolsOffered; ++i) names += ",p" + std::to_string(i);
  EXPECT_EQ(status_of("Sec-WebSocket-Protocol: " + names + "\r\n"), 101);
  EXPECT_EQ(status_of("Sec-WebSocket-Protocol: " + names + ",x\r\n"), 400);
}

TEST(Rfc6455_4_2_2, ServerChoosesTheFirstOfTheClientsThatItHas) {
  const std::vector<std::string> ours = {"chat", "superchat"};
  EXPECT_EQ(choose_protocol(field({"superchat, chat"}), ours), "superchat");
  EXPECT_EQ(choose_protocol(field({"x", "y, chat"}), ours), "chat");
  EXPECT_EQ(choose_protocol(field({"Chat"}), ours), "");
  EXPECT_EQ(choose_protocol({}, ours), "");
  EXPECT_EQ(choose_protocol(field({"chat"}), {}), "");
}

TEST(Rfc6455_4_2_2, TheAnswerNamesWhatWasAgreedOnAndNothingElse) {
  EXPECT_EQ(upgrade_response(kKey).text().find("Sec-WebSocket-P"), std::string_view::npos);
  EXPECT_EQ(upgrade_response(kKey).text().find("Sec-WebSocket-E"), std::string_view::npos);
  const UpgradeResponse full = upgrade_response(
      kKey, {std::string_view("0123456789012345678901234567890123456789012345678901234567890123"),
             DeflateTerms{true, true, 15, 14}});
  EXPECT_TRUE(full.text().ends_with(
      "\r\nSec-WebSocket-Protocol: "
      "0123456789012345678901234567890123456789012345678901234567890123\r\n"
      "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "
      "client_no_context_takeover; server_max_window_bits=15; client_max_window_bits=14\r\n\r\n"));
}

// What a server answers to an offer, "" when it declines.
std::string answer(const std::vector<std::string_view>& offers, const DeflatePolicy& policy = {}) {
  const auto terms = answer_offers(field(offers), policy);
  return terms ? std::string(deflate_text(*terms).text()) : "";
}

constexpr DeflatePolicy kShared = {};
constexpr DeflatePolicy kTakeover = {true, 15};
constexpr DeflatePolicy kSmall = {true, 12};
const std::string kNoContext =
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

TEST(Rfc7692_5, ServerAnswersOnlyWhatWasOffered) {
  EXPECT_EQ(answer({"permessage-deflate"}, kTakeover), "permessage-deflate");
  EXPECT_EQ(answer({"x-webkit-deflate-frame"}), "");
  EXPECT_EQ(answer({"Permessage-Deflate"}), "");
  EXPECT_EQ(answer({}), "");
}

// Only one may have RSV1, so one is picked: the first that can be accepted.
TEST(Rfc7692_5, TheFirstAcceptableOfferIsTaken) {
  EXPECT_EQ(answer({"x; y=1, permessage-deflate; server_max_window_bits=10, permessage-deflate"},
                   kTakeover),
            "permessage-deflate; server_max_window_bits=10");
  EXPECT_EQ(answer({"permessage-deflate; unknown", "permessage-deflate; server_max_window_bits=8",
                    "permessage-deflate; client_no_context_takeover"},
                   kTakeover),
            "permessage-deflate; client_no_context_takeover");
}

// A server MUST decline an offer with a parameter that is not defined, ...
TEST(Rfc7692_7, ServerDeclinesUnknownParameters) {
  for (const char* parameter : {"x", "x=1", "Server_no_context_takeover", "max_window_bits=10"}) {
    EXPECT_EQ(answer({std::string("permessage-deflate; ") + parameter}, kTakeover), "")
        << parameter;
  }
}

// ... with an invalid value, ...
TEST(Rfc7692_7, ServerDeclinesInvalidValues) {
  for (const char* parameter :
       {"server_no_context_takeover=1",      "client_no_context_takeover=true",
        "server_no_context_takeover=\"x\"",  "server_max_window_bits",
        "server_max_window_bits=7",          "server_max_window_bits=16",
        "server_max_window_bits=010",        "server_max_window_bits=08",
        "server_max_window_bits=1",          "server_max_window_bits=0",
        "server_max_window_bits=-9",         "server_max_window_bits=+9",
        "server_max_window_bits=9.0",        "server_max_window_bits=100",
        "server_max_window_bits=4294967305", "server_max_window_bits=a",
        "client_max_window_bits=7",          "client_max_window_bits=16",
        "client_max_window_bits=09",         "client_max_window_bits=x",
        "client_max_window_bits=00"}) {
    EXPECT_EQ(answer({std::string("permessage-deflate; ") + parameter}, kTakeover), "")
        << parameter;
  }
}

// ... with several parameters of one name, even if they agree, ...
TEST(Rfc7692_7, ServerDeclinesRepeatedParameters) {
  for (const char* parameter :
       {"server_no_context_takeover", "client_no_context_takeover", "server_max_window_bits=10",
        "client_max_window_bits=10", "client_max_window_bits"}) {
    const std::string twice = std::string("permessage-deflate; ") + parameter + "; " + parameter;
    EXPECT_EQ(answer({twice}, kTakeover), "") << twice;
  }
  EXPECT_EQ(answer({"permessage-deflate; client_max_window_bits; client_max_window_bits=10"}), "");
}

// ... or that it does not support: zlib deflates with windows of 2^9 bytes and more only.
TEST(Rfc7692_7, ServerDeclinesAWindowOf256Bytes) {
  EXPECT_EQ(answer({"permessage-deflate; server_max_window_bits=8"}, kTakeover), "");
  EXPECT_EQ(answer({"permessage-deflate; server_max_window_bits=8"}, kShared), "");
  EXPECT_EQ(answer({"permessage-deflate; server_max_window_bits=8, permessage-deflate"}, kTakeover),
            "permessage-deflate");
}

TEST(Rfc7692_7_1_1_1, ServerNoContextTakeoverIsAnsweredWhenOfferedOrWanted) {
  const std::string offer = "permessage-deflate; server_no_context_takeover";
  EXPECT_EQ(answer({offer}, kTakeover), offer);
  EXPECT_EQ(answer({"permessage-deflate"}, kShared), kNoContext);
}

TEST(Rfc7692_7_1_1_2, ClientNoContextTakeoverIsAnsweredWhenOfferedOrWanted) {
  const std::string offer = "permessage-deflate; client_no_context_takeover";
  EXPECT_EQ(answer({offer}, kTakeover), offer);
  EXPECT_EQ(answer({offer}, kShared), kNoContext);
}

// The answer has the parameter whenever the offer has it, with the same or a smaller value; a
// server may ask for less unasked.
TEST(Rfc7692_7_1_2_1, ServerMaxWindowBits) {
  for (int bits = 9; bits <= 15; ++bits) {
    const std::string offer = "permessage-deflate; server_max_window_bits=";
    EXPECT_EQ(answer({offer + std::to_string(bits)}, kTakeover), offer + std::to_string(bits));
    EXPECT_EQ(answer({offer + std::to_string(bits) + "; client_max_window_bits"}, kSmall),
              offer + std::to_string(std::min(bits, 12)) + "; client_max_window_bits=12");
    EXPECT_EQ(answer({offer + std::to_string(bits)}, kShared),
              kNoContext + "; server_max_window_bits=" + std::to_string(bits));
  }
  EXPECT_EQ(answer({R"(permessage-deflate; server_max_window_bits="1\0")"}, kTakeover),
            "permessage-deflate; server_max_window_bits=10");
  EXPECT_EQ(answer({"permessage-deflate; client_max_window_bits"}, kSmall),
            "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12");
}

// "the corresponding extension negotiation response to the offer MUST NOT include the
// client_max_window_bits extension parameter" when the offer does not.
TEST(Rfc7692_7_1_2_2, ClientMaxWindowBitsOnlyWhenOffered) {
  EXPECT_EQ(answer({"permessage-deflate"}, kSmall),
            "permessage-deflate; client_no_context_takeover; server_max_window_bits=12");
  EXPECT_EQ(answer({"permessage-deflate; client_max_window_bits"}, kTakeover),
            "permessage-deflate");
  EXPECT_EQ(answer({"permessage-deflate; client_max_window_bits"}, kShared), kNoContext);
  for (int bits = 8; bits < 15; ++bits) {
    const std::string offer = "permessage-deflate; client_max_window_bits=" + std::to_string(bits);
    EXPECT_EQ(answer({offer}, kTakeover), offer);
    EXPECT_EQ(answer({offer}, kSmall),
              "permessage-deflate; server_max_window_bits=12; client_max_window_bits=" +
                  std::to_string(std::min(bits, 12)));
  }
}

// 7.1.3: examples of the RFC.
TEST(Rfc7692_7_1_3, Examples) {
  EXPECT_EQ(
      answer({"permessage-deflate; client_max_window_bits; server_max_window_bits=10"}, kTakeover),
      "permessage-deflate; server_max_window_bits=10");
  EXPECT_EQ(answer({"permessage-deflate; client_max_window_bits; server_max_window_bits=10, "
                    "permessage-deflate; client_max_window_bits"},
                   kTakeover),
            "permessage-deflate; server_max_window_bits=10");
}

// The client's half.

ResponseHead response(std::string_view fields, const UpgradeOffer& offer) {
  static std::string text;  // The verdict has views into it.
  text =
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" +
      std::string(fields) + "\r\n";
  return check_response(text, kKey, offer);
}

bool accepts(std::string_view fields, const UpgradeOffer& offer) {
  return response(fields, offer).verdict == ResponseHead::Verdict::kAccepted;
}

std::optional<DeflateTerms> agreed(std::string_view element, const DeflateTerms& offer) {
  return response("Sec-WebSocket-Extensions: " + std::string(element) + "\r\n", {{}, offer})
      .agreed.deflate;
}

TEST(Rfc6455_4_1, ClientFailsForASubprotocolThatItDidNotAskFor) {
  const std::vector<std::string> names = {"chat", "superchat"};
  const UpgradeOffer offer{names, {}};
  EXPECT_NE(upgrade_request("h", "/", kKey, offer)
                .find("\r\nSec-WebSocket-Protocol: chat, superchat\r\n"),
            std::string::npos);
  EXPECT_EQ(response("Sec-WebSocket-Protocol: superchat\r\n", offer).agreed.protocol, "superchat");
  EXPECT_EQ(response("", offer).agreed.protocol, "");
  EXPECT_TRUE(accepts("", offer));
  EXPECT_FALSE(accepts("Sec-WebSocket-Protocol: Chat\r\n", offer));
  EXPECT_FALSE(accepts("Sec-WebSocket-Protocol: chat, superchat\r\n", offer));
  EXPECT_FALSE(accepts("Sec-WebSocket-Protocol:\r\n", offer));
  EXPECT_FALSE(accepts("Sec-WebSocket-Protocol: chat\r\n", {}));
}

TEST(Rfc6455_4_1, ClientFailsForAnExtensionThatItDidNotAskFor) {
  EXPECT_FALSE(accepts("Sec-WebSocket-Extensions: permessage-deflate\r\n", {}));
  EXPECT_FALSE(accepts("Sec-WebSocket-Extensions: x\r\n", {{}, DeflateTerms{}}));
  EXPECT_FALSE(
      accepts("Sec-WebSocket-Extensions: permessage-deflate, x\r\n", {{}, DeflateTerms{}}));
  EXPECT_TRUE(accepts("", {{}, DeflateTerms{}}));
  EXPECT_FALSE(response("", {{}, DeflateTerms{}}).agreed.deflate);
}

// 11.3.2 to 11.3.4: each MUST NOT appear more than once in a response.
TEST(Rfc6455_11_3, ClientFailsForRepeatedFields) {
  const std::vector<std::string> names = {"a"};
  const UpgradeOffer offer{names, DeflateTerms{}};
  const std::string protocol = "Sec-WebSocket-Protocol: a\r\n";
  const std::string extension = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
  EXPECT_TRUE(accepts(protocol + extension, offer));
  EXPECT_FALSE(accepts(protocol + protocol, offer));
  EXPECT_FALSE(accepts(extension + extension, offer));
  EXPECT_FALSE(accepts("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", offer));
}

TEST(Rfc7692_5, ClientOffersInTheExtensionsField) {
  EXPECT_NE(upgrade_request("h", "/", kKey, {{}, DeflateTerms{true, false, 10, 15}})
                .find("\r\nSec-WebSocket-Extensions: permessage-deflate; "
                      "server_no_context_takeover; server_max_window_bits=10; "
                      "client_max_window_bits\r\n"),
            std::string::npos);
  EXPECT_NE(
      upgrade_request("h", "/", kKey, {{}, DeflateTerms{false, true, 0, 9}})
          .find("permessage-deflate; client_no_context_takeover; client_max_window_bits=9\r\n"),
      std::string::npos);
}

TEST(Rfc7692_5, ClientFailsForTwoAnswers) {
  EXPECT_TRUE(agreed("permessage-deflate", {}));
  EXPECT_TRUE(agreed(", permessage-deflate ,", {}));
  EXPECT_FALSE(agreed("permessage-deflate, permessage-deflate", {}));
}

// A client MUST fail the connection for a parameter that is not defined, has an invalid value, or
// comes twice, ...
TEST(Rfc7692_7, ClientFailsForWrongParameters) {
  for (const char* parameters :
       {"x", "x=1", "server_no_context_takeover=1", "client_no_context_takeover=0",
        "server_max_window_bits", "server_max_window_bits=7", "server_max_window_bits=16",
        "server_max_window_bits=09", "client_max_window_bits", "client_max_window_bits=16",
        "client_max_window_bits=08", "server_no_context_takeover; server_no_context_takeover",
        "client_no_context_takeover; client_no_context_takeover",
        "server_max_window_bits=10; server_max_window_bits=10",
        "client_max_window_bits=10; client_max_window_bits=10", "", "server_max_window_bits="}) {
    EXPECT_FALSE(agreed(std::string("permessage-deflate; ") + parameters, {false, false, 0, 15}))
        << parameters;
  }
}

// ... or for a configuration that does not answer the offer.
TEST(Rfc7692_7, ClientFailsForAnswersToSomethingElse) {
  EXPECT_FALSE(agreed("permessage-deflate", {true, false, 0, 0}));
  EXPECT_FALSE(agreed("permessage-deflate", {false, false, 10, 0}));
  EXPECT_FALSE(agreed("permessage-deflate; server_max_window_bits=11", {false, false, 10, 0}));
  EXPECT_FALSE(agreed("permessage-deflate; client_max_window_bits=10", {}));
  EXPECT_FALSE(agreed("permessage-deflate; client_max_window_bits=11", {false, false, 0, 10}));
}

TEST(Rfc7692_7_1_1_1, ClientTakesServerNoContextTakeoverUnasked) {
  const auto terms = agreed("permessage-deflate; server_no_context_takeover", {});
  ASSERT_TRUE(terms);
  EXPECT_FALSE(server_side(*terms).context_takeover);
  EXPECT_TRUE(client_side(*terms).context_takeover);
}

TEST(Rfc7692_7_1_1_2, ClientObeysClientNoContextTakeoverAndItsOwnHint) {
  EXPECT_FALSE(
      client_side(*agreed("permessage-deflate; client_no_context_takeover", {})).context_takeover);
  EXPECT_FALSE(client_side(*agreed("permessage-deflate", {false, true, 0, 0})).context_takeover);
}

TEST(Rfc7692_7_1_2_1, ClientTakesTheSameOrASmallerServerWindow) {
  for (int bits = 8; bits <= 10; ++bits) {
    const std::string text = "permessage-deflate; server_max_window_bits=" + std::to_string(bits);
    EXPECT_EQ(server_side(*agreed(text, {false, false, 10, 0})).window_bits, bits);
    EXPECT_EQ(server_side(*agreed(text, {})).window_bits, bits);
  }
  EXPECT_EQ(server_side(*agreed("permessage-deflate", {})).window_bits, 15);
}

TEST(Rfc7692_7_1_2_2, ClientKeepsToTheSmallerOfBothWindows) {
  EXPECT_EQ(
      client_side(*agreed("permessage-deflate; client_max_window_bits=9", {false, false, 0, 15}))
          .window_bits,
      9);
  EXPECT_EQ(client_side(*agreed("permessage-deflate", {false, false, 0, 11})).window_bits, 11);
  EXPECT_EQ(client_side(*agreed("permessage-deflate", {})).window_bits, 15);
}

}  // namespace
}  // namespace epulse::ws
