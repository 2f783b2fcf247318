// The GPU's side of the plug-in (cuda/runtime_nvcc.cu) on a stand-in CUDA runtime that holds it to
// the rules: what is queued, what may be recorded, what is given back, and what errors become.
#include <doctest/doctest.h>

#include <dlfcn.h>

#include "core/backend.h"
#include "core/device.h"
#include "core/device_graph.h"
#include "core/storage.h"
#include "core/tensor.h"
#include "core/tensor_arg.h"
#include "tests/cuda_runtime/stand_in/control.h"

using namespace pare;

namespace {

const Device gpu{DeviceType::cuda, 0};

Tensor tensor(const std::vector<float>& v) { return Tensor::from(v, {int64_t(v.size())}); }

void add_one(const Tensor& x) {
  const Kernel kernel("stand_in.add_one");
  const TensorArg out = tensor_arg(x);
  const Attrs attrs;
  KernelArgs args;
  args.outputs = &out, args.output_count = 1, args.attrs = &attrs;
  kernel(gpu, args);
}

// What pare_backend says of a device that cannot be used.
std::string refusal() {
  std::string folder = std::getenv("PARE_PLUGIN_PATH");
  void* library = dlopen((folder + "/libpare_cuda.so").c_str(), RTLD_NOW | RTLD_LOCAL);
  REQUIRE(library != nullptr);
  const auto enter = reinterpret_cast<BackendEntry>(dlsym(library, "pare_backend"));
  char why[error_length] = "";
  const Backend* backend = enter(why);
  return backend ? "" : why;
}

// Starts the device, and asks afterwards whether a rule was broken.
struct Watched {
  Watched() {
    stand_in::reset();
    REQUIRE_MESSAGE(probe_device(DeviceType::cuda).present,
                    probe_device(DeviceType::cuda).description);
  }
  ~Watched() {
    for (const std::string& v : stand_in::violations()) MESSAGE(v);
    CHECK(stand_in::violations().empty());
    stand_in::reset();
    synchronize(gpu);
    release_cached(gpu);
  }
};

}  // namespace

TEST_CASE("a GPU that cannot be used says why and what to do") {
  const auto says = [](const std::string& text) {
    const std::string found = refusal();
    CAPTURE(text);
    CAPTURE(found);
    CHECK(found.find(text) != std::string::npos);
    CHECK(found.find("--device cpu") != std::string::npos);
    stand_in::reset();
  };
  const auto start_fails = [&](const char* function, cudaError_t error, const std::string& text) {
    stand_in::fail(function, error);
    says(text);
  };
  stand_in::gpu.driver = 0;
  start_fails("cudaGetDeviceCount", cudaErrorInsufficientDriver, "no NVIDIA driver");
  stand_in::gpu.driver = 11080;
  start_fails("cudaGetDeviceCount", cudaErrorInsufficientDriver,
              "it serves CUDA 11.8, this plug-in needs 13.0");
  start_fails("cudaGetDeviceCount", cudaErrorSystemDriverMismatch, "too old");
  start_fails("cudaGetDeviceCount", cudaErrorStubLibrary, "no NVIDIA driver");
  start_fails("cudaStreamCreateWithFlags", cudaErrorDevicesUnavailable, "taken");
  start_fails("cudaFuncGetAttributes", cudaErrorNoKernelImageForDevice, "holds no kernels");
  start_fails("cudaHostAlloc", cudaErrorMemoryAllocation, "out of GPU memory");
  start_fails("cudaStreamCreateWithFlags", cudaErrorECCUncorrectable,
              "cannot be used: CUDA error 214");
  start_fails("cudaGetDeviceProperties", cudaErrorInvalidValue, "cannot be used: CUDA error 1");
  stand_in::gpu.count = 0;
  says("there is no NVIDIA GPU");
  stand_in::gpu.major = 7;
  says("older than compute capability 7.5");
}

TEST_CASE("a plug-in of another version is told by its file, with both versions and what to do") {
  try {
    (void)select_device("cuda-emulated");
    CHECK(false);
  } catch (const Error& e) {
    const std::string text = e.what();
    CAPTURE(text);
    CHECK(e.code() == ErrorCode::device);
    for (const std::string& part : {std::string("libpare_cuda_emulated.so"),
                                    std::to_string(backend_abi), std::to_string(backend_abi - 1)})
      CHECK(text.find(part) != std::string::npos);
  }
}

TEST_CASE("code compiled for an older GPU than this is told apart") {
  const Watched watched;
  const DeviceProperties& p = backend_of(gpu).properties;
  CHECK(p.gpu_capability == 90);
  CHECK(p.capability == 90);
  CHECK(p.multiprocessors == 132);
  CHECK(std::string(p.name) == "stand-in 0");
  CHECK(std::string(p.products) == "cuBLASLt 13.0.2");
}

TEST_CASE("a GPU tells its versions, its memory and what multiplies") {
  const Watched watched;
  std::string all;
  for (const auto& [name, value] : device_facts(DeviceType::cuda))
    all += name + ": " + value + "\n";
  CHECK(all.find("driver: serves CUDA 13.0\n") != std::string::npos);
  CHECK(all.find("CUDA runtime: 13.0\n") != std::string::npos);
  CHECK(all.find("kernels compiled for: the host\n") != std::string::npos);
  CHECK(all.find("MB of 85899 MB\n") != std::string::npos);
  CHECK(all.find("matrix products: cuBLASLt 13.0.2\n") != std::string::npos);
  CHECK(probe_device(DeviceType::cuda).plugin.ends_with("libpare_cuda.so"));
}

TEST_CASE("a process has one GPU") {
  const Watched watched;
  CHECK(select_device("cuda:0") == gpu);
  CHECK_THROWS_WITH_AS((void)select_device("cuda:1"), doctest::Contains("works on cuda already"),
                       Error);
  CHECK_THROWS_WITH_AS((void)select_device("cuda:x"),
                       doctest::Contains("a GPU is named by its number"), Error);
}

TEST_CASE("tensors go to the GPU and back, and all memory is given back") {
  const Watched watched;
  const auto before = stand_in::held();
  {
    const Tensor x = tensor({1, 2, 3}).to(gpu),
                 copy = Tensor::empty({3}, DType::f32, Format::plain, gpu);
    add_one(x);
    copy.copy_from(x);
    add_one(x);
    CHECK(copy.to_vector<float>() == std::vector<float>{2, 3, 4});
    CHECK(x.to_vector<float>() == std::vector<float>{3, 4, 5});
    CHECK(stand_in::held().blocks > before.blocks);
  }
  release_cached(gpu);
  CHECK(stand_in::held() == before);
}

TEST_CASE("memory that runs out is asked for twice, then told; the next call works") {
  const Watched watched;
  {
    const Tensor cached = Tensor::empty({1000}, DType::f32, Format::plain, gpu);
  }
  const size_t asked = stand_in::calls("cudaMalloc"), freed = stand_in::calls("cudaFree");
  stand_in::fail("cudaMalloc", cudaErrorMemoryAllocation);
  const Tensor second = Tensor::empty({50000}, DType::f32, Format::plain, gpu);
  CHECK(stand_in::calls("cudaMalloc") == asked + 2);
  CHECK(stand_in::calls("cudaFree") == freed + 1);
  stand_in::fail("cudaMalloc", cudaErrorECCUncorrectable);
  CHECK_THROWS_WITH_AS((void)Tensor::empty({90000}, DType::f32, Format::plain, gpu),
                       doctest::Contains("lost to this process"), Error);
  CHECK(tensor({1}).to(gpu).to_vector<float>() == std::vector<float>{1});
}

TEST_CASE("an error of one call is told by that call alone") {
  const Watched watched;
  const Tensor x = tensor({1, 2}).to(gpu);
  stand_in::fail("cudaLaunchKernel", cudaErrorInvalidValue);
  CHECK_THROWS_WITH_AS(add_one(x), doctest::Contains("CUDA error 1"), Error);
  add_one(x);
  stand_in::fail("cudaMemcpyAsync", cudaErrorInvalidValue);
  CHECK_THROWS_WITH_AS((void)x.to_vector<float>(), doctest::Contains("CUDA error 1"), Error);
  CHECK(x.to_vector<float>() == std::vector<float>{2, 3});
}

TEST_CASE("a kernel that broke the device is told by the next wait, and then by every call") {
  const Watched watched;
  const Tensor x = tensor({1, 2}).to(gpu);
  stand_in::break_device(cudaErrorIllegalAddress);
  add_one(x);
  for (int i = 0; i < 2; ++i) try {
      (void)x.to_vector<float>();
      CHECK(false);
    } catch (const Error& e) {
      CHECK(e.code() == ErrorCode::device);
      CHECK(std::string(e.what()).find("found by work that was queued before") !=
            std::string::npos);
      CHECK(std::string(e.what()).find("--resume") != std::string::npos);
    }
  CHECK_THROWS_WITH_AS(synchronize(gpu), doctest::Contains("lost"), Error);
  CHECK_THROWS_WITH_AS(add_one(x), doctest::Contains("lost"), Error);
}

TEST_CASE("recorded work replays, and leaves nothing behind") {
  const Watched watched;
  const Tensor x = tensor({1, 2}).to(gpu);
  const auto before = stand_in::held();
  {
    DeviceGraph graph;
    Tensor y;
    REQUIRE(graph.record(gpu, [&] {
      add_one(x);
      y = Tensor::empty({2}, DType::f32, Format::plain, gpu);
      y.copy_from(x);
      const Tensor scratch = Tensor::empty({7000}, DType::f32, Format::plain, gpu);
    }) == "");
    CHECK(x.to_vector<float>() == std::vector<float>{1, 2});
    for (int i = 0; i < 3; ++i) graph.replay();
    CHECK(y.to_vector<float>() == std::vector<float>{4, 5});
    CHECK(stand_in::held().graphs == 0);
    CHECK(stand_in::held().executables == 1);
  }
  release_cached(gpu);
  CHECK(stand_in::held() == before);
}

TEST_CASE(
    "what cannot be recorded is refused before CUDA sees it, and whatever fails is given back") {
  const Watched watched;
  const Tensor x = tensor({1, 2}).to(gpu);
  const auto before = stand_in::held();
  DeviceGraph graph;
  CHECK(graph.record(gpu, [&] { (void)x.to_vector<float>(); }).find("cannot be recorded") !=
        std::string::npos);
  CHECK(graph.record(gpu, [&] { synchronize(gpu); }).find("cannot be recorded") !=
        std::string::npos);
  for (const char* function :
       {"cudaStreamBeginCapture", "cudaStreamEndCapture", "cudaGraphInstantiate"}) {
    CAPTURE(function);
    stand_in::fail(function, cudaErrorInvalidValue);
    CHECK(graph.record(gpu, [&] { add_one(x); }).find("CUDA error 1") != std::string::npos);
    CHECK_FALSE(graph.recorded());
  }
  stand_in::gpu.memory = before.bytes;
  CHECK(graph.record(gpu, [&] { (void)Tensor::empty({400000}, DType::f32, Format::plain, gpu); })
            .find("out of memory") != std::string::npos);
  stand_in::gpu = {};
  CHECK_THROWS(graph.record(gpu, [&] { throw std::runtime_error("mine"); }));
  release_cached(gpu);
  CHECK(stand_in::held() == before);
  REQUIRE(graph.record(gpu, [&] { add_one(x); }) == "");
  graph.replay();
  CHECK(x.to_vector<float>() == std::vector<float>{2, 3});
  stand_in::break_device(cudaErrorLaunchFailure);
  graph.replay();
  CHECK_THROWS_WITH_AS(synchronize(gpu), doctest::Contains("found by work that was queued before"),
                       Error);
}
