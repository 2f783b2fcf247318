// Kernels keep to the dialect of cuda/device.h, so that every one runs in the emulation too: in .cu
// files and in the headers that they are made of.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <string>

namespace fs = std::filesystem;

namespace {

struct Rule {
  std::regex pattern;
  const char* instead;
};
const Rule rules[] = {
    {std::regex("<<<|>>>\\("), "launch(kernel, grid, block, shared_bytes, stream, args...)"},
    {std::regex("__(global|device|host|shared|constant|launch_bounds)__"),
     "PARE_KERNEL, PARE_DEVICE, PARE_HD, PARE_SHARED"},
    {std::regex("\\b(thread|block)Idx\\b|\\b(block|grid)Dim\\b"),
     "thread_x(), block_x(), block_width(), ..."},
    {std::regex("__sync|__shfl|__ballot|__any_|__all_|__activemask"),
     "barrier(), warp_barrier(), shuffle(), ballot()"},
    {std::regex("\\batomic(Add|Sub|Max|Min|CAS|Exch|Or|And|Xor|Inc|Dec)\\b"),
     "atomic_add() and its like, on integers"},
    {std::regex("\\basm\\b"), "a wrapper in cuda/device_nvcc.h or cuda/mma.h with a host body"},
    {std::regex("\\bcuda[A-Z]\\w*\\s*\\(|cuda_runtime|cuda_fp16|cuda_bf16"), "cuda/host.h"},
    {std::regex("__CUDA|PARE_ASAN|emulation"),
     "one body: what differs belongs into cuda/device_nvcc.h and cuda/emulation/"},
    {std::regex("\\b(expf|logf|sqrtf|__expf|std::exp|std::log|rand|curand)\\b"),
     "core/math.h, core/random.h"},
    {std::regex("\\bauto&? \\w+ = \\w+\\[(?!.*\\.size)"),
     "the element's type: auto would keep a reference into shared memory"},
};

// Headers that choose between nvcc and the host compiler.
bool has_two_bodies(const std::string& file) {
  return file == "device.h" || file == "mma.h" || file == "failure.h";
}

// What is wrong with a line of a kernel file; "" when nothing is.
std::string complaint(const std::string& line) {
  const std::string code = line.substr(0, line.find("//"));
  for (const Rule& rule : rules)
    if (std::regex_search(code, rule.pattern)) return "'" + code + "': use " + rule.instead;
  return {};
}

}  // namespace

TEST_CASE("kernels are written in the dialect") {
  int files = 0;
  for (const auto& entry : fs::directory_iterator(fs::path(PARE_SOURCE_DIR) / "cuda")) {
    const std::string name = entry.path().filename().string(),
                      kind = entry.path().extension().string();
    if ((kind != ".cu" && kind != ".h") || name.find("_nvcc") != std::string::npos) continue;
    if (has_two_bodies(name)) continue;
    ++files;
    std::ifstream in(entry.path());
    std::string line;
    for (int number = 1; std::getline(in, line); ++number) {
      const std::string wrong = complaint(line);
      CHECK_MESSAGE(wrong.empty(), name, ":", number, ": ", wrong);
    }
  }
  CHECK(files >= 40);
  for (const char* wrong :
       {"k<<<1, 2>>>(x);", "int i = threadIdx.x;", "__syncthreads();", "atomicAdd(&x, 1.f);",
        "asm volatile(\"\");", "cudaMalloc(&p, 4);", "#ifdef __CUDA_ARCH__", "auto v = s[i];"})
    CHECK_MESSAGE(complaint(wrong) != "", wrong);
  for (const char* right :
       {"launch(k<T>, 1, 2, 0, stream(), x);", "const int i = thread_x();  // not threadIdx",
        "const T v = s[i];", "PARE_SHARED(T, cells, 32);"})
    CHECK_MESSAGE(complaint(right) == "", right);
}
