// The pare command line. Exit codes are those of ErrorCode; see docs/command-line.md.
#include <algorithm>
#include <csignal>
#include <new>
#include <sstream>

#include "core/error.h"
#include "tools/command.h"
#include "tools/outcome.h"
#include "tools/usage.h"

using namespace pare;

namespace {

// Help without empty lists as defaults, and without the options that exclude each other: --resume
// excludes nearly all.
class Help : public CLI::Formatter {
 public:
  std::string make_option_opts(const CLI::Option* option) const override {
    std::string text = Formatter::make_option_opts(option);
    if (const size_t at = text.find("=[]"); at != std::string::npos) text.erase(at, 3);
    return text.substr(0, text.find(" " + get_label("Excludes") + ":"));
  }
};

// Help or the version, whichever was asked for.
int print_help(const CLI::App& app, const CLI::Success& asked) try {
  std::ostringstream text;
  app.exit(asked, text, text);
  std::string shown = text.str();
  shown.erase(shown.find_last_not_of('\n') + 1);
  tool::print_output(shown);
  return 0;
} catch (const Error& e) {
  return tool::report_failure(e.code(), e.what());
}

}  // namespace

int main(int argc, char** argv) {
  guard_streams();
  RunFiles files;
  const RunFilesScope scope(files);
  CLI::App app{
      "pare: train a network, then pare it down.\n"
      "Example: pare train lenet5 --data digits --epochs 1 --out lenet5.pare"};
  app.name("pare");
  app.set_version_flag("--version", "pare " PARE_VERSION);
  app.footer(
      "Exit codes: 0 done; 1 usage; 2 bad input (files, data, answers that are not finite); 3 "
      "training "
      "diverged;\n4 device; 5 input/output or memory, standard output lost; 130 interrupted, with "
      "the checkpoint saved.");
  app.require_subcommand(1);
  app.formatter(std::make_shared<Help>());
  app.option_defaults()->always_capture_default();
  tool::add_train(app);
  tool::add_eval(app);
  tool::add_summary(app);
  tool::add_predict(app);
  tool::add_bench(app);
  tool::add_prune(app);
  tool::add_sensitivity(app);
  tool::add_quantize(app);
  tool::add_distill(app);
  tool::add_data(app);
  tool::add_doctor(app);
  tool::check_values(app);
  std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  tool::fail_in_json(std::any_of(words.begin(), words.end(), [](const std::string& w) {
    return w == "--json" || w.starts_with("--json=");
  }));
  tool::end_on_signals();
  // A file that grows beyond a limit is then an error of the write, told like a full disk.
  std::signal(SIGXFSZ, SIG_IGN);
  try {
    tool::check_words(app, words);
    std::reverse(words.begin(), words.end());
    app.parse(std::move(words));
    return 0;
  } catch (const CLI::Success& asked) {
    return print_help(app, asked);
  } catch (const CLI::ParseError& e) {
    return tool::report_failure(ErrorCode::usage, tool::explain(e, app));
  } catch (const Error& e) {
    return tool::report_failure(e.code(), e.what());
  } catch (const std::bad_alloc&) {
    return tool::report_failure(ErrorCode::io, "out of memory; use a smaller batch or network");
  } catch (const std::exception& e) {
    return tool::report_failure(ErrorCode::io, e.what());
  }
}
