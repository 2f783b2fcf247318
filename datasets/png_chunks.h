// What the bytes of a picture's file say besides its pixels (internal).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace pare {

// Throws Error{bad_input} unless the bytes begin as a PNG does, naming what they are instead where
// that shows: "a JPEG image".
void check_png_signature(std::span<const uint8_t> bytes, const std::string& name);

// What a viewer would do and the reader does not: play an animation, turn the picture as EXIF says.
std::vector<std::string> chunk_notes(std::span<const uint8_t> png);

}  // namespace pare
