#include "tools/usage.h"

#include <cctype>
#include <limits>
#include <set>
#include <span>
#include <string_view>

#include "core/error.h"
#include "core/text.h"

namespace pare::tool {
namespace {

constexpr int64_t least_whole = std::numeric_limits<int64_t>::min(),
                  most_whole = std::numeric_limits<int64_t>::max();

std::string refusal(const std::string& text, const std::string& expected) {
  return message("'{}', expected {}", text, expected);
}

// Writes the number back in its plain form: the parser takes 010 for eight.
std::string whole(std::string& text, int64_t least, int64_t most) {
  const auto number = parse_number<int64_t>(text);
  if (!number || *number < least || *number > most)
    return refusal(text, least == least_whole && most == most_whole ? "a whole number"
                         : most == most_whole ? message("a whole number of at least {}", least)
                                              : message("a whole number, {} to {}", least, most));
  text = std::to_string(*number);
  return {};
}

std::string natural(std::string& text) {
  const auto number = parse_number<uint64_t>(text);
  if (!number)
    return refusal(text, message("a whole number, 0 to {}", std::numeric_limits<uint64_t>::max()));
  text = std::to_string(*number);
  return {};
}

std::string real(std::string& text) {
  return parse_number<double>(text) ? std::string() : refusal(text, "a finite number, as 0.05");
}

constexpr const char* no_value = "its value is empty; give it one, or leave the option out";

std::string filled(std::string& text) { return text.empty() ? no_value : std::string(); }

std::vector<const CLI::App*> commands_of(const CLI::App& app) { return app.get_subcommands({}); }

std::string path_of(const CLI::App& app) {
  return app.get_parent() ? path_of(*app.get_parent()) + " " + app.get_name() : "pare";
}

// "pare predict FILE IMAGES..."
std::string usage_of(const CLI::App& app) {
  std::string text = path_of(app);
  for (const CLI::Option* option : app.get_options())
    if (option->get_positional()) {
      text += ' ';
      for (const char c : option->get_name()) text += char(std::toupper(uint8_t(c)));
      if (option->get_items_expected_max() > 1) text += "...";
    }
  return text;
}

// What is near alone: --help lists them all.
std::string nearest(const std::string& name, const std::vector<std::string>& names) {
  const std::vector<std::string_view> known(names.begin(), names.end());
  const std::string near = suggest(name, known.data(), known.size());
  return near.starts_with(" (did you mean") ? near : std::string();
}

const CLI::App& command_named(const CLI::App& app, const std::string& name) {
  std::vector<std::string> names;
  for (const CLI::App* command : commands_of(app)) {
    if (command->get_name() == name) return *command;
    names.push_back(command->get_name());
  }
  fail(ErrorCode::usage, "{} has no command '{}'{}; {} --help lists them", path_of(app), name,
       nearest(name, names), path_of(app));
}

const CLI::Option* option_of(const CLI::App& command, const std::string& word) {
  return word.starts_with('-') ? command.get_option_no_throw(word.substr(0, word.find('=')))
                               : nullptr;
}

const CLI::Option& option_named(const CLI::App& command, const std::string& word) {
  if (const CLI::Option* option = option_of(command, word)) return *option;
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options())
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  const std::string name = word.substr(0, word.find('='));
  fail(ErrorCode::usage, "{} has no option '{}'{}; {} --help lists them", path_of(command), name,
       nearest(name, names), path_of(command));
}

void check_options(const CLI::App& command, std::span<const std::string> words) {
  std::set<const CLI::Option*> seen;
  for (size_t at = 0; at < words.size() && words[at] != "--"; ++at) {
    const std::string& word = words[at];
    if (word.size() < 2 || word[0] != '-') continue;  // "-" is a name
    const CLI::Option& option = option_named(command, word);
    if (option.get_items_expected_max() == 0) {  // a flag
      check(word.find('=') == std::string::npos, "{} takes no value", option.get_name());
      continue;
    }
    check(seen.insert(&option).second || option.get_items_expected_max() > 1,
          "{} is given twice; give it once", option.get_name());
    const int all = option.get_items_expected_min();
    const std::string missing =
        all == 1 ? "its value is missing" : message("it takes {} values", all);
    int wanted = all;
    if (const size_t equals = word.find('='); equals != std::string::npos) {
      check(equals + 1 < word.size(), "{}: {}", option.get_name(), no_value);
      --wanted;
    }
    for (; wanted > 0; --wanted) {
      check(++at < words.size(), "{}: {}", option.get_name(), missing);
      check(!option_of(command, words[at]), "{}: {}; {} is the next option", option.get_name(),
            missing, words[at]);
    }
  }
}

const CLI::App& parsed_command(const CLI::App& app) {
  const auto commands = app.get_subcommands();
  return commands.empty() ? app : parsed_command(*commands.front());
}

}  // namespace

CLI::Validator between(int64_t least, int64_t most) {
  return {[=](std::string& text) { return whole(text, least, most); },
          most == most_whole ? "" : message("INT in [{} - {}]", least, most)};
}

void check_values(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    const std::string type = option->get_type_name();
    if (type.starts_with("INT"))
      option->transform(between(least_whole, most_whole));
    else if (type.starts_with("UINT"))
      option->transform({natural, ""});
    else if (type.starts_with("FLOAT"))
      option->check({real, ""});
    else if (type.starts_with("TEXT"))
      option->check({filled, ""});
  }
  for (CLI::App* command : app.get_subcommands({})) check_values(*command);
}

void check_words(const CLI::App& app, std::vector<std::string>& words) {
  if (!words.empty() && words[0] == "help") {
    words.erase(words.begin());
    words.push_back("--help");
  }
  const CLI::App* command = &app;
  size_t at = 0;
  while (!commands_of(*command).empty()) {
    check(at < words.size(), "{} needs a command; {} --help lists them", path_of(*command),
          path_of(*command));
    if (option_of(*command, words[at])) return;  // help or version
    check(!words[at].starts_with('-'),
          "{} has no option '{}'; options stand behind the command, as in pare train --threads 2",
          path_of(*command), words[at]);
    command = &command_named(*command, words[at++]);
  }
  check_options(*command, std::span(words).subspan(at));
}

std::string explain(const CLI::ParseError& error, const CLI::App& app) {
  const CLI::App& command = parsed_command(app);
  if (const auto extra = command.remaining(); !extra.empty())
    return message("'{}' is one argument too many, expected: {}", extra[0], usage_of(command));
  if (error.get_name() == "RequiredError")
    for (const CLI::Option* option : command.get_options())
      if (option->get_positional() && option->count() == 0)
        return message("name the {}: {}", option->get_name(), usage_of(command));
  if (error.get_name() == "ArgumentMismatch")
    for (const CLI::Option* option : command.get_options())
      if (const int most = option->get_items_expected_max();
          int(option->count()) > most && most > 1)
        return message("{}: it takes {} values, {} are given", option->get_name(), most,
                       option->count());
  return error.what();
}

}  // namespace pare::tool
