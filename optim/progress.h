// Progress for people, on standard error: one live line on a terminal, plain lines elsewhere.
#pragma once

#include <chrono>
#include <string>

namespace pare {

class Progress {
 public:
  explicit Progress(bool quiet = false);
  ~Progress();  // ends a live line
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  // Replaces the live line, at most ten times a second; where there is no terminal, a plain line
  // every ten seconds.
  // `text` makes it, and is called only when it is due.
  template <class F>
  void live(F&& text) {
    if (due()) show(text());
  }
  // A line that stays.
  void line(const std::string& text);
  bool quiet() const { return quiet_; }

 private:
  bool due();
  void show(const std::string& text);
  void clear();
  bool quiet_, terminal_, shown_ = false;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

// "1:02:03" or "12:34".
std::string clock_time(double seconds);
// How many a second: "31250", "12.5" or "0.042", three digits where there are fewer.
std::string rate_text(double a_second);

}  // namespace pare
