"""Our steps against PyTorch's, in turns in one go: ratios, spread, peak memory.

    cargo bench --bench step --no-run          # prints the path of the binary
    python benches/compare.py BINARY [--networks digits,small32,inception] [--works generate,sida] [--rounds 7] [--compile]
                                     [--threads 2] [--cpu-time]
                                     [--device cuda:0] [--precision fp32|tf32|bf16|fp16] [--graphs] [--batch 64]

Each side is a process of its own that waits while the other works. A ratio is the median over rounds of our time over
PyTorch's in the same round; below 1 we are ahead. Absolute times belong to the machine, ratios less so.

The floor is the time that the products alone take at the peak of our product of matrices, measured first, with
Winograd's F(4x4, 3x3) for 3x3 convolutions. `inception` needs torchvision and is only asked for `generate`: features
of 16 images of 32x32 pixels.

On a GPU PyTorch computes NHWC with cuDNN's benchmark, halves by autocast, and memory is not compared.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

WORKS = ["generate", "heun", "teacher", "sid", "sida"]


class Side:
    """A process that runs so many steps when told to, and says how long they took."""

    def __init__(self, command, env, count_cpu):
        self.count_cpu = count_cpu
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env={**os.environ, **env})
        self.parameters = int(self.process.stdout.readline())

    def run(self, steps):
        before = self.cpu_seconds()
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        seconds = float(self.process.stdout.readline())
        return self.cpu_seconds() - before if self.count_cpu else seconds

    def cpu_seconds(self):
        """Processor time of all threads."""
        with open(f"/proc/{self.process.pid}/stat") as stat:
            user, system = stat.read().rsplit(")", 1)[1].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def peak_mib(self):
        """Peak resident memory; None where the system does not say."""
        try:
            with open(f"/proc/{self.process.pid}/status") as status:
                return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))
        except OSError:
            return None

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def peak(args):
    """Operations per second of our product of large matrices."""
    env = {**os.environ, "RAYON_NUM_THREADS": str(args.threads)}
    return float(subprocess.run([args.binary, "--peak"], env=env, capture_output=True, text=True).stdout)


def compare(args, network, work, peak):
    threads = str(args.threads)
    env = {"RAYON_NUM_THREADS": threads, "SIDA_INCEPTION": args.inception or "", "SIDA_DEVICE": args.device}
    batch = [str(args.batch)] if args.batch else []
    precision = args.precision + ("+graphs" if args.graphs else "")
    ours = Side([args.binary, "--serve", network, work, precision, *batch], env, args.cpu_time)
    modes = ["eager"] + (["compile"] if args.compile else [])
    twin = [sys.executable, __file__, "--serve", network, work, args.device, threads]
    how = [args.precision, *batch]
    theirs = [Side([*twin, mode, *how], {"OMP_NUM_THREADS": threads}, args.cpu_time) for mode in modes]
    count = subprocess.run([*twin, "count", *how], capture_output=True, text=True, check=True).stdout
    floor = int(count) / peak * 1e3
    for side in theirs:
        # All but the running counts of optimizers is the same; so the twins must be equally large.
        assert side.parameters == ours.parameters, f"{side.parameters} and {ours.parameters} parameters"
    sides = [ours, *theirs]
    for side in sides:
        side.run(2)
    steps = [max(1, round(args.seconds / max(side.run(1), 1e-3))) for side in sides]
    times = [[] for _ in sides]
    for _ in range(args.rounds):
        for side, count, seconds in zip(sides, steps, times):
            time.sleep(0.05)  # spinning workers of the other side go to sleep
            side.run(1)
            seconds.append(side.run(count) / count)
    for mode, side, seconds in zip(modes, theirs, times[1:]):
        ratios = sorted(a / b for a, b in zip(times[0], seconds))
        ratio, low, high = statistics.median(ratios), ratios[len(ratios) // 4], ratios[-1 - len(ratios) // 4]
        ms = [statistics.median(t) * 1e3 for t in (times[0], seconds)]
        memory = "-".join("?" if mib is None else f"{mib:.0f}" for mib in (ours.peak_mib(), side.peak_mib()))
        print(
            f"| {network} | {work} | {mode} | **{ratio:.2f}** ({low:.2f}-{high:.2f}) | {ms[0]:.1f} | {ms[1]:.1f} "
            f"| {floor:.1f} | {memory.replace('-', ' | ')} |",
            flush=True,
        )
    for side in sides:
        side.close()


def arithmetic(precision, device):
    """Sets what products of fp32 may be rounded to. => the context in which networks compute"""
    import contextlib
    import torch

    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    halves = {"bf16": torch.bfloat16, "fp16": torch.float16}
    kind = device.split(":")[0]
    return lambda: torch.autocast(kind, halves[precision]) if precision in halves else contextlib.nullcontext()


def serve(network, work, device, threads, mode, precision, batch=None):
    """PyTorch's side."""
    import torch
    from twin import NETWORKS, Preconditioned, inception, weights

    torch.manual_seed(0)
    torch.set_num_threads(int(threads))
    context = arithmetic(precision, device)

    def compiled(net):
        inner = torch.compile(net) if mode == "compile" else net

        def forward(*args, **kwargs):
            with context():
                outputs = inner(*args, **kwargs)
            wide = lambda y: y.float() if isinstance(y, torch.Tensor) else y
            return tuple(map(wide, outputs)) if isinstance(outputs, tuple) else wide(outputs)

        return forward

    synchronize = torch.cuda.synchronize if device.startswith("cuda") else lambda: None
    if network == "inception":
        step = prepare_inception(inception(), device, compiled)
        size = sum(tensor.numel() for tensor in weights(inception()).values())
    else:
        n, images, side = NETWORKS[network][:3]
        n = int(batch or n)
        layout = dict(memory_format=torch.channels_last) if device.startswith("cuda") else {}
        make = lambda: Preconditioned(network).to(device, **layout)
        normals = lambda: torch.randn(n, images, side, side, device=device).to(**layout)
        step, size = prepare(work, make, compiled, normals), sum(p.numel() for p in make().parameters())
    if mode == "count":
        return print(operations(step))
    print(size, flush=True)
    for line in sys.stdin:
        synchronize()
        start = time.perf_counter()
        for _ in range(int(line)):
            step()
        synchronize()
        print(time.perf_counter() - start, flush=True)


def operations(step):
    """Floating-point operations of one step's products, those of 3x3 convolutions as Winograd needs them."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode, flop_registry

    def ours(op):
        count = flop_registry[op]

        def counted(*args, **kwargs):
            weight = args[1] if op is forward else args[2]
            square = tuple(weight.shape[2:]) == (3, 3)
            return count(*args, **kwargs) / (4 if square else 1)

        counted._get_raw = True
        return counted

    forward, backward = torch.ops.aten.convolution, torch.ops.aten.convolution_backward
    with FlopCounterMode(display=False, custom_mapping={op: ours(op) for op in (forward, backward)}) as counter:
        step()
    return int(counter.get_total_flops())


def prepare_inception(network, device, compiled):
    import torch
    import torch.nn.functional as F

    forward = compiled(network.to(device))
    images = torch.rand(16, 3, 32, 32, device=device) * 255

    def features():
        with torch.no_grad():
            forward(F.interpolate(images, (299, 299), mode="bilinear") / 128 - 1)

    return features


def write_inception(path):
    """Random weights in the format and under the names of FID's network, for our side."""
    from twin import inception, weights

    header, tensors, offset = {}, [], 0
    for name, tensor in weights(inception()).items():
        values = tensor.float().numpy().tobytes()
        spans = [offset, offset + len(values)]
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": spans}
        tensors.append(values)
        offset += len(values)
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text + b"".join(tensors))


def prepare(work, make, compiled, normals):
    """One step of `work`, as step.rs does it."""
    import torch
    import torch.nn.functional as F

    def adam(network, betas):
        return torch.optim.Adam(network.parameters(), lr=1e-4, betas=betas, eps=1e-8, fused=True)

    def update(network, optimizer):
        for p in network.parameters():
            if p.grad is not None:
                torch.nan_to_num(p.grad, nan=0.0, posinf=1e5, neginf=-1e5, out=p.grad)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    def average(ema, network):
        with torch.no_grad():
            torch._foreach_lerp_(list(ema.parameters()), list(network.parameters()), 1e-3)

    network = make()
    normalize_weights = lambda *networks: [net.normalize_weights() for net in networks if net.edm2]
    x, noise = normals(), normals()
    sigma = torch.full([len(x), 1, 1, 1], 1.0, device=x.device)
    initial = torch.full([len(x), 1, 1, 1], 2.5, device=x.device)
    forward = compiled(network)
    if work == "generate":

        def generate():
            with torch.no_grad():
                forward(x * 2.5, initial)

        return generate
    if work == "heun":
        rho, steps = 7, 4
        ramp = torch.arange(steps, dtype=torch.float64, device=x.device) / (steps - 1)
        times = (80 ** (1 / rho) + ramp * (0.002 ** (1 / rho) - 80 ** (1 / rho))) ** rho

        def denoise(y, t):
            return forward(y.float(), t.float().expand(len(y), 1, 1, 1))[0].double()

        def heun():
            with torch.no_grad():
                y = x.double() * times[0]
                for t, t_next in zip(times, [*times[1:], torch.zeros_like(times[0])]):
                    slope = (y - denoise(y, t)) / t
                    euler = y + (t_next - t) * slope
                    if t_next > 0:
                        slope = (slope + (euler - denoise(euler, t_next)) / t_next) / 2
                        euler = y + (t_next - t) * slope
                    y = euler

        return heun
    ema = make()
    if work == "teacher":
        optimizer = adam(network, (0.9, 0.999))

        def train():
            normalize_weights(network)
            denoised = forward(x + noise, sigma)[0]
            weight = (sigma.square() + 0.25) / (sigma * 0.5).square()
            (weight * (denoised - x).square()).mean().backward()
            update(network, optimizer)
            average(ema, network)

        return train

    adversarial = work == "sida"
    teacher, fake, generator = make().eval().requires_grad_(False), make(), network
    teach, judge, generate = compiled(teacher), compiled(fake), forward
    fake_optimizer, generator_optimizer = adam(fake, (0.0, 0.999)), adam(generator, (0.0, 0.999))
    real = normals()

    def step():
        if not adversarial:
            normalize_weights(fake)
        with torch.no_grad():
            images = generate(x * 2.5, initial)[0]
        fake.requires_grad_(True)
        judged, logits, logvar = judge(images + noise * sigma, sigma)
        weight = (sigma.square() + 0.25) / (sigma * 0.5).square()
        uncertainty = 1.0 if logvar is None else logvar.exp()
        loss = weight / uncertainty * (judged - images).square() + (0.0 if logvar is None else logvar)
        loss = loss.sum() / len(x)
        if adversarial:
            real_logits = judge(real + noise * sigma, sigma, encoder_only=True)
            told_apart = F.softplus(-real_logits).mean() + F.softplus(logits).mean()
            loss = loss + (weight / uncertainty * told_apart / 2).sum() / len(x)
        loss.backward()
        update(fake, fake_optimizer)

        fake.requires_grad_(False)
        normalize_weights(network)
        images = generate(x * 2.5, initial)[0]
        noisy = images + noise * sigma
        truth = teach(noisy, sigma)[0]
        judged, logits, logvar = judge(noisy, sigma)
        with torch.no_grad():
            divisor = (images - truth).abs().mean([1, 2, 3], keepdim=True).clip(min=1e-5)
        divisor = divisor if logvar is None else divisor * logvar.exp()
        gap = truth - judged
        loss = (gap * ((truth - images) - gap) / divisor).sum() / len(x)
        if adversarial:
            loss = loss * 0.5 + 0.5 * (F.softplus(-logits.clip(-10, 10)).mean() / divisor).sum()
        loss.backward()
        update(generator, generator_optimizer)
        average(ema, generator)

    return step


def main():
    if sys.argv[1:2] == ["--serve"]:
        return serve(*sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", help="the benchmark `step`, as cargo built it")
    parser.add_argument("--networks", default="digits,small32,wide32,adm,edm2")
    parser.add_argument("--works", default=",".join(WORKS))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each side in a round, roughly")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--device", default="cpu", help="cpu, or cuda:N with a binary that was built for it")
    parser.add_argument("--precision", default="fp32", choices=["fp32", "tf32", "bf16", "fp16"])
    parser.add_argument("--graphs", action="store_true", help="replay what our trainings launch on a GPU")
    parser.add_argument("--batch", type=int, help="instead of what the network is usually given")
    parser.add_argument("--compile", action="store_true", help="against torch.compile too")
    parser.add_argument(
        "--cpu-time", action="store_true", help="compare processor time: for busy machines, with --threads 1 (Linux)"
    )
    args = parser.parse_args()
    networks, works = args.networks.split(","), args.works.split(",")
    flops = peak(args)
    print(f"Products of large matrices: {flops / 1e9:.0f} GFLOP/s on {args.threads} threads\n")
    print(
        "| network | work | PyTorch | ours / PyTorch (quartiles) | ours, ms | PyTorch, ms | floor, ms "
        "| ours, MiB | PyTorch, MiB |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        args.inception = None
        if "inception" in networks:
            args.inception = os.path.join(folder, "inception.safetensors")
            write_inception(args.inception)
        for network in networks:
            for work in works if network != "inception" else ["generate"]:
                compare(args, network, work, flops)


if __name__ == "__main__":
    main()
