// The pare command line. Exit codes are those of ErrorCode; see docs/command-line.md.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <new>

#include "core/error.h"
#include "tools/command.h"

using namespace pare;

namespace {

int report(ErrorCode code, const char* text) {
  fmt::print(stderr, "error: {}\n", text);
  return int(code);
}

// The name of an unknown command and what is close to it; "" where the first word is none.
std::string unknown_command(const CLI::App& app, int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') return {};
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands({})) names.push_back(command->get_name());
  const std::vector<std::string_view> known(names.begin(), names.end());
  if (std::find(known.begin(), known.end(), argv[1]) != known.end()) return {};
  return message("no command is named '{}'{}; pare --help lists them", argv[1],
                 suggest(argv[1], known.data(), known.size()));
}

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

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "pare: train a network, then pare it down.\n"
      "Example: pare train lenet5 --data digits --epochs 1 --out lenet5.pare"};
  app.set_version_flag("--version", "pare " PARE_VERSION);
  app.require_subcommand(1);
  app.formatter(std::make_shared<Help>());
  app.option_defaults()->always_capture_default();
  app.failure_message(CLI::FailureMessage::simple);
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
  if (const std::string text = unknown_command(app, argc, argv); !text.empty())
    return report(ErrorCode::usage, text.c_str());
  // Where nothing is at stake a signal ends the command at once; training has its own handlers.
  for (const int signal : {SIGINT, SIGTERM})
    std::signal(signal, [](int) { std::_Exit(int(ErrorCode::interrupted)); });
  // A file that grows beyond a limit is then an error of the write, told like a full disk.
  std::signal(SIGXFSZ, SIG_IGN);
  try {
    app.parse(argc, argv);
    return 0;
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : int(ErrorCode::usage);
  } catch (const Error& e) {
    return report(e.code(), e.what());
  } catch (const std::bad_alloc&) {
    return report(ErrorCode::io, "out of memory; use a smaller batch or network");
  } catch (const std::exception& e) {
    return report(ErrorCode::io, e.what());
  }
}
