// A plug-in that speaks another version of the contract than the program.
#include "core/backend.h"

extern "C" __attribute__((visibility("default"))) const pare::Backend* pare_backend(char*) {
  static pare::Backend backend;
  backend.abi = pare::backend_abi - 1;
  backend.name = "old";
  return &backend;
}
