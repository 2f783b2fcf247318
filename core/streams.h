// Standard output and standard error of a program whose readers may be gone. What goes to them is
// printable (core/text.h).
#pragma once

#include <string>

namespace pare {

// To be called first in main: a reader that goes away is then an error of the write instead of the
// end of the process, and no file gets the number of a standard stream that came closed.
void guard_streams();

// A line on standard error for people. Where standard error is lost, nothing happens.
void tell(const std::string& text);

// A line on standard output: the result. Throws Error{io} where it cannot be written.
void answer(const std::string& text);

}  // namespace pare
