"""Times training steps of a peer, on command, so that train_speed.py can interleave it with pare.

One step: forward, cross entropy, backward, SGD with momentum. Inputs lie in memory, in the layout the
network takes. Protocol: prints "ready" when built; then reads lines:
  warm N   runs N steps untimed and answers "ok"
  run N    runs N steps and answers with N times in milliseconds on one line
  memory   answers with the bytes by which the process's resident memory peaked above its start
  quit     ends

Example: printf 'warm 20\nrun 50\nquit\n' | python bench/peers/train_step.py --net mlp --batch 64
"""

import argparse
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import zoo  # noqa: E402

BATCHES = 4
LR, MOMENTUM = 1e-3, 0.9
started = [0]  # resident bytes once the library is loaded


def resident(field):
    """Bytes of VmRSS or VmHWM."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {field}")


def torch_stepper(net_name, batch, form, layout, threads, device, precision):
    import torch

    started[0] = resident("VmRSS")
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    spec = zoo.SPECS[net_name]
    net = zoo.torch_net(net_name).train().to(device)
    xs = [torch.randn(batch, *spec.shape).to(device) for _ in range(BATCHES)]
    ys = [torch.randint(0, spec.classes, (batch,)).to(device) for _ in range(BATCHES)]
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    if layout == "nhwc":
        net = net.to(memory_format=torch.channels_last)
        xs = [x.contiguous(memory_format=torch.channels_last) for x in xs]
    optimizer = torch.optim.SGD(net.parameters(), lr=LR, momentum=MOMENTUM, fused=True)

    def loss_of(x, y):
        with torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
            return torch.nn.functional.cross_entropy(net(x), y)

    if form == "compiled":
        # On a GPU this mode replays CUDA graphs, as pare does.
        loss_of = torch.compile(loss_of, mode="max-autotune" if device == "cuda" else None)

    if form == "graphed":
        return graphed(torch, optimizer, loss_of, xs, ys)

    def step(i):
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(xs[i % BATCHES], ys[i % BATCHES])
        loss.backward()
        optimizer.step()
        if device == "cuda":
            loss.item()
            torch.cuda.synchronize()

    return step


def graphed(torch, optimizer, loss_of, xs, ys):
    """The whole step, update included, as one CUDA graph: the strongest form that needs no compiling."""
    torch.backends.cudnn.benchmark = True
    x, y = xs[0].clone(), ys[0].clone()

    def whole():
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(x, y)
        loss.backward()
        optimizer.step()
        return loss

    # Algorithms are chosen and the optimizer's state is made before anything is recorded.
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            whole()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    optimizer.zero_grad(set_to_none=True)
    with torch.cuda.graph(graph):
        recorded = whole()

    def step(i):
        x.copy_(xs[i % BATCHES])
        y.copy_(ys[i % BATCHES])
        graph.replay()
        recorded.item()

    return step


def jax_stepper(net_name, batch, threads):
    if net_name != "mlp":
        raise SystemExit("JAX is compared on mlp alone")
    # XLA has no option for its threads: it takes as many as there are cores to run on.
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:threads]))
    import jax

    started[0] = resident("VmRSS")
    keys = jax.random.split(jax.random.PRNGKey(7), BATCHES)
    xs = [jax.random.normal(k, (batch, 784)) for k in keys]
    ys = [jax.random.randint(k, (batch,), 0, 10) for k in keys]
    state, jitted = zoo.jax_mlp_step(LR, MOMENTUM)
    held = [state]

    def step(i):
        held[0], loss = jitted(held[0], xs[i % BATCHES], ys[i % BATCHES])
        jax.block_until_ready((held[0], loss))

    return step


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--net", default="mlp", choices=sorted(zoo.SPECS))
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--form", default="eager", choices=["eager", "compiled", "graphed", "jax"])
    parser.add_argument("--layout", default="nchw", choices=["nchw", "nhwc"])
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--precision", default="fp32", choices=["fp32", "tf32", "bf16"])
    parser.add_argument("--clock", default="wall", choices=["wall", "cpu"])
    args = parser.parse_args()
    if args.form == "graphed" and args.device != "cuda":
        parser.error("--form graphed records a CUDA graph: it needs --device cuda")
    clock = time.process_time if args.clock == "cpu" else time.perf_counter
    if args.form == "jax":
        step = jax_stepper(args.net, args.batch, args.threads)
    else:
        step = torch_stepper(
            args.net,
            args.batch,
            args.form,
            args.layout,
            args.threads,
            args.device,
            args.precision,
        )
    step(0)
    print("ready", flush=True)
    done = 1
    for line in sys.stdin:
        words = line.split()
        if not words or words[0] == "quit":
            break
        if words[0] == "memory":
            print(resident("VmHWM") - started[0], flush=True)
            continue
        count = int(words[1])
        times = []
        for i in range(done, done + count):
            begin = clock()
            step(i)
            times.append((clock() - begin) * 1e3)
        done += count
        print("ok" if words[0] == "warm" else " ".join(f"{t:.5f}" for t in times), flush=True)


if __name__ == "__main__":
    main()
