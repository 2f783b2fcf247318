#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/text.h"

using namespace pare;

TEST_CASE("what a terminal would obey is written out, and nothing else changes") {
  const std::pair<const char*, const char*> cases[] = {
      {"", ""},
      {"a\tb\nc é 猫 🐈", "a\tb\nc é 猫 🐈"},
      {"\x1b[31mred\x1b[0m", "\\u001b[31mred\\u001b[0m"},
      {"over\rwritten\b\x07", "over\\u000dwritten\\u0008\\u0007"},
      {"\x7f \xc2\x9b"
       "31m",
       "\\u007f \\u009b31m"},  // one-byte and C1 commands
      {"\xe2\x80\xae"
       "txt.exe",
       "\\u202etxt.exe"},  // turns the reading direction
      {"a\xff"
       "b\xc3",
       "a\xef\xbf\xbd"
       "b\xef\xbf\xbd"},                                          // no UTF-8, and cut
      {"\xc0\x9b", "\xef\xbf\xbd\xef\xbf\xbd"},                   // an overlong ESC
      {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}};  // a surrogate
  for (const auto& [text, shown] : cases) CHECK(printable(text) == shown);
  CHECK(printable(std::string_view("a\0b", 3)) == "a\\u0000b");
}

TEST_CASE("printable JSON is the same JSON") {
  const nlohmann::json j = {{"cat\x7f\xc2\x9b", "\x1b[2J\xe2\x80\xae é"}};
  const std::string text = printable(j.dump());
  CHECK(text.find('\x7f') == std::string::npos);
  CHECK(nlohmann::json::parse(text) == j);
}

TEST_CASE("an error's text can be shown") {
  CHECK_THROWS_WITH_AS(fail(ErrorCode::bad_input, "no class '{}'", "a\x1b[2Jb"),
                       "no class 'a\\u001b[2Jb'", Error);
}

TEST_CASE("a number is all of its text, decimal and within its type") {
  CHECK(parse_number<int64_t>("-12") == -12);
  CHECK(parse_number<int64_t>("+007") == 7);
  CHECK(parse_number<uint64_t>("18446744073709551615") == 18446744073709551615u);
  CHECK(parse_number<double>("1e-3") == 1e-3);
  for (const char* text : {"", " 5", "5 ", "5 epochs", "0x10", "1e3", "5.0", "+-5", "++5",
                           "99999999999999999999", "-9223372036854775809"})
    CHECK_MESSAGE(!parse_number<int64_t>(text), text);
  CHECK_FALSE(parse_number<uint64_t>("-1"));
  for (const char* text : {"", "nan", "inf", "-inf", "1e400", "0x1p3", "0.5x", "90%", "1,5"})
    CHECK_MESSAGE(!parse_number<double>(text), text);
}
