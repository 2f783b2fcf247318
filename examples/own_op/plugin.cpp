// The op as a plug-in, for programs that were built without it: pare eval own_op.pare --plugin
// libsoftsign.so
#include "autograd/plugin.h"
#include "softsign.h"

extern "C" void pare_register_plugin() { softsign_op(); }
