// Mistakes in the words of a command line, told before anything runs: one sentence each, with what
// is near.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace pare::tool {

// Lets every option of `app` and its commands refuse values that are not of its type: empty texts
// and numbers that are none, not finite or too large.
void check_values(CLI::App& app);

// Refuses numbers outside `least` to `most`, for add_option(...)->check(...).
CLI::Validator between(int64_t least, int64_t most);

// Throws Error{usage} for a missing or unknown command or option, and for an option whose value is
// missing. `words` are those that follow the program's name; "help COMMAND" becomes "COMMAND
// --help".
void check_words(const CLI::App& app, std::vector<std::string>& words);

// What the parser refused, in one line.
std::string explain(const CLI::ParseError& error, const CLI::App& app);

}  // namespace pare::tool
