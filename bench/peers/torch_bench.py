"""The rows of `npm run bench:peers` in PyTorch, float32 with TF32 off, on CUDA and cuDNN where there is a GPU.

    python bench/peers/torch_bench.py [--device cuda|cpu] [--filter TEXT ...] [--json FILE]

Needs torch and torchvision. The JSON is that of bench:peers, without kakuritsu's times: run both on one machine, one after
the other, and divide. Beside those rows it times what the bars on a GPU are set for: ResNet-152 forward at batch 64 and a
training step from zero at batch 64. Weights and images are random: speed does not depend on them.
"""

import argparse
import datetime
import json
import statistics
import sys
import time

import torch
import torchvision
from torch import nn
from torch.nn import functional

# Channels in and out, pixels a side, kernel, stride.
CONVOLUTIONS = {
    "1×1 256→64 at 56²": (256, 64, 56, 1, 1),
    "3×3 64→64 at 56²": (64, 64, 56, 3, 1),
    "1×1 1024→256 at 14²": (1024, 256, 14, 1, 1),
    "3×3 256→256 at 14²": (256, 256, 14, 3, 1),
    "1×1 256→1024 at 14²": (256, 1024, 14, 1, 1),
    "3×3 512→512 at 7²": (512, 512, 7, 3, 1),
    "7×7 3→64 /2 at 224²": (3, 64, 224, 7, 2),
}


def matmul(device):
    a, b = torch.randn(2, 1024, 1024, device=device)
    return lambda: a @ b


def conv(device, channels, outputs, size, kernel, stride):
    # channels_last is the layout that kakuritsu has, and the faster one of cuDNN's for most shapes.
    x = torch.randn(1, channels, size, size, device=device).to(memory_format=torch.channels_last)
    weight = torch.randn(outputs, channels, kernel, kernel, device=device).to(memory_format=torch.channels_last)
    return lambda: functional.conv2d(x, weight, stride=stride, padding=(kernel - 1) // 2)


def resnet(device, images, size):
    net = torchvision.models.resnet152(weights=None).to(device, memory_format=torch.channels_last).eval()
    x = torch.randn(images, 3, size, size, device=device).to(memory_format=torch.channels_last)

    def forward():
        with torch.inference_mode():
            net(x)

    return forward


def training(device, images, size):
    net = torchvision.models.resnet152(weights=None).to(device, memory_format=torch.channels_last).train()
    x = torch.randn(images, 3, size, size, device=device).to(memory_format=torch.channels_last)
    labels = torch.arange(images, device=device) % 1000
    return step_of(net, x, labels, lr=1e-9)


def head(device):
    net = nn.Sequential(nn.Linear(2048, 1000, bias=False), nn.ReLU(), nn.Linear(1000, 1000, bias=False)).to(device)
    x = torch.randn(64, 2048, device=device)
    labels = torch.arange(64, device=device) * 7 % 1000
    return step_of(net, x, labels, lr=0.01)


def step_of(net, x, labels, lr):
    optimizer = torch.optim.SGD(net.parameters(), lr=lr, momentum=0.9, weight_decay=1e-4)

    def step():
        optimizer.zero_grad()
        functional.cross_entropy(net(x), labels).backward()
        optimizer.step()

    return step


ROWS = {
    "matmul 1024³": matmul,
    **{name: (lambda device, shape=shape: conv(device, *shape)) for name, shape in CONVOLUTIONS.items()},
    "ResNet-152 forward, batch 1 at 224": lambda device: resnet(device, 1, 224),
    "ResNet-152 forward, batch 8 at 64": lambda device: resnet(device, 8, 64),
    "head step, plain, batch 64": head,
    "ResNet-152 forward, batch 64 at 224": lambda device: resnet(device, 64, 224),
    "ResNet-152 training step, batch 64 at 64": lambda device: training(device, 64, 64),
}


def seconds_for(work, repeats, device):
    synchronize(device)
    start = time.perf_counter()
    for _ in range(repeats):
        work()
    synchronize(device)
    return (time.perf_counter() - start) / repeats


def synchronize(device):
    if device == "cuda":
        torch.cuda.synchronize()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--filter", nargs="*", default=[], help="only rows whose name holds each of these")
    parser.add_argument("--json", help="write the numbers there")
    parser.add_argument("--rounds", type=int, default=5, help="how often each row is timed")
    parser.add_argument("--sample", type=float, default=200, help="how long one timing lasts at least, ms")
    options = parser.parse_args()

    # Float32 means float32: without this cuDNN and cuBLAS may round products to TF32's 10 bits.
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    peer = f"PyTorch {torch.__version__}, {options.device}"
    name = torch.cuda.get_device_name() if options.device == "cuda" else "CPU"
    driver = f"CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}" if options.device == "cuda" else ""
    print(f"{name} {driver}\n{peer}")

    results = []
    for row, make in ROWS.items():
        if not all(text in row for text in options.filter):
            continue
        try:
            work = make(options.device)
            # Three times, so that cuDNN has chosen its algorithm and the clock has risen.
            once = min(seconds_for(work, 1, options.device) for _ in range(3))
            repeats = max(1, round(options.sample / 1000 / once))
            rounds = [seconds_for(work, repeats, options.device) for _ in range(options.rounds)]
        except RuntimeError as error:
            results.append({"row": row, "peer": peer, "webgpu": False, "failed": str(error)})
            print(f"  {row:<44} failed: {error}")
            continue
        theirs = statistics.median(rounds)
        results.append({"row": row, "peer": peer, "webgpu": False, "theirs": theirs, "rounds": {"theirs": rounds}})
        print(f"  {row:<44} {theirs * 1e3:10.3f} ms")

    if options.json:
        date = datetime.datetime.now(datetime.timezone.utc).isoformat()
        command = " ".join(["python", *sys.argv])
        file = {"adapter": {"name": name, "driver": driver}, "date": date, "command": command, "results": results}
        with open(options.json, "w", encoding="utf-8") as out:
            json.dump(file, out, indent=2, ensure_ascii=False)


if __name__ == "__main__":
    main()
