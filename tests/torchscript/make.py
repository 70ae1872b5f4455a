"""Writes module.pt and traced.pt: small TorchScript archives with whatever such archives keep beside tensors."""
from typing import Dict, List, Optional

import torch


def ramp(*shape, dtype=torch.float32):
    """0, 1/4, 2/4, ...: exact in every type."""
    count = int(torch.tensor(shape).prod())
    return (torch.arange(count, dtype=torch.float32) / 4).reshape(shape).to(dtype)


class Inner(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(ramp(2, 3))
        self.absent: Optional[torch.Tensor] = None
        self.register_buffer("seen", torch.tensor(7))
        self.register_buffer("short", ramp(3, dtype=torch.float16))
        # A view: neither contiguous nor at the start of its storage.
        self.register_buffer("turned", ramp(3, 4)[1:].t())

    def forward(self, x):
        return x @ self.weight.t() + self.seen + self.short.sum() + self.turned.sum()


class Outer(torch.nn.Module):
    sizes: List[int]
    rates: List[float]
    flags: List[bool]
    masks: List[torch.Tensor]
    names: List[str]
    table: Dict[str, int]

    def __init__(self):
        super().__init__()
        self.sizes, self.rates, self.flags = [3, 5], [0.5], [True, False]
        self.masks, self.names, self.table = [ramp(2)], ["a", "b"], {"a": 1}
        self.gain, self.label = 0.5, "text"
        self.inner = Inner()
        self.layers = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU())
        with torch.no_grad():
            self.layers[0].weight.copy_(ramp(2, 2))
            self.layers[0].bias.copy_(-ramp(2))

    def forward(self, x):
        kept = len(self.sizes) + len(self.rates) + len(self.flags) + len(self.masks) + len(self.names) + len(self.table)
        return self.layers(self.inner(x)) * self.gain * float(kept + len(self.label))


torch.jit.script(Outer()).save("module.pt")
torch.jit.trace(Outer(), ramp(1, 3)).save("traced.pt")
