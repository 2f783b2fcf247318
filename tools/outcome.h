// How a command ends: with its result on standard output or, where it fails, with a sentence on
// standard error, an exit code and, for --json, the object that says so. One of them, once.
#pragma once

#include <string>

#include "core/error.h"

namespace pare::tool {

// Whether a failure prints {"error": ..., "code": N} on standard output.
void fail_in_json(bool wanted);

// SIGINT, SIGTERM and SIGHUP end the process at once, with code 130. Trainings have handlers of
// their own.
void end_on_signals();

// Prints the result. Throws Error{io} where it is lost.
void print_output(const std::string& text);

// Tells of a failure and returns the exit code.
int report_failure(ErrorCode code, const std::string& text);

}  // namespace pare::tool
