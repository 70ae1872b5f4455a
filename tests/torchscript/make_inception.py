"""Writes inception.pt: TorchScript with the names and the graph of NVIDIA's inception-2015-12-05.pt, two channels wide.

Prints what the test expects: the features and the logits of one image.
"""
from collections import OrderedDict

import torch
from torch.nn import AvgPool2d, MaxPool2d, Module, Parameter, Sequential
from torch.nn.functional import batch_norm, conv2d, relu

WIDE = 2


class Unit(Module):
    """Convolution, normalisation without a factor, ReLU."""

    def __init__(self, inputs, rows=1, columns=1, stride=1):
        super().__init__()
        self.stride = stride
        self.padding = [0, 0] if stride == 2 else [rows // 2, columns // 2]
        scale = (2 / (inputs * rows * columns)) ** 0.5
        self.weight = Parameter(torch.randn(WIDE, inputs, rows, columns) * scale)
        self.beta = Parameter(torch.rand(WIDE))
        self.mean = Parameter(torch.rand(WIDE) - 0.5)
        self.var = Parameter(torch.rand(WIDE) + 0.5)

    def forward(self, x):
        x = conv2d(x, self.weight, stride=self.stride, padding=self.padding)
        return relu(batch_norm(x, self.mean, self.var, bias=self.beta, eps=1e-3))


def tower(inputs, *kernels, before=None):
    """Units in sequence, named conv, conv_1, ..."""
    layers = OrderedDict() if before is None else OrderedDict(pool=before)
    for number, kernel in enumerate(kernels):
        layers[f"conv_{number}" if number else "conv"] = Unit(inputs, *kernel)
        inputs = WIDE
    return Sequential(layers)


def average():
    return AvgPool2d(3, stride=1, padding=1, count_include_pad=False)


class Flat(Module):
    """Three towers, the last behind a pool, and a single unit."""

    def __init__(self, inputs, first, second):
        super().__init__()
        self.conv = Unit(inputs)
        self.tower = tower(inputs, *first)
        self.tower_1 = tower(inputs, *second)
        self.tower_2 = tower(inputs, (1, 1), before=average())

    def forward(self, x):
        return torch.cat([self.conv(x), self.tower(x), self.tower_1(x), self.tower_2(x)], 1)


class HalvingOnce(Module):
    def __init__(self, inputs):
        super().__init__()
        self.conv = Unit(inputs, 3, 3, 2)
        self.tower = tower(inputs, (1, 1), (3, 3), (3, 3, 2))
        self.pool = MaxPool2d(3, stride=2)

    def forward(self, x):
        return torch.cat([self.conv(x), self.tower(x), self.pool(x)], 1)


class HalvingTwice(Module):
    def __init__(self, inputs):
        super().__init__()
        self.tower = tower(inputs, (1, 1), (3, 3, 2))
        self.tower_1 = tower(inputs, (1, 1), (1, 7), (7, 1), (3, 3, 2))
        self.pool = MaxPool2d(3, stride=2)

    def forward(self, x):
        return torch.cat([self.tower(x), self.tower_1(x), self.pool(x)], 1)


class Forked(Module):
    def __init__(self, inputs, pool):
        super().__init__()
        self.conv = Unit(inputs)
        self.tower_conv = Unit(inputs)
        self.tower_mixed_conv = Unit(WIDE, 1, 3)
        self.tower_mixed_conv_1 = Unit(WIDE, 3, 1)
        self.tower_1_conv = Unit(inputs)
        self.tower_1_conv_1 = Unit(WIDE, 3, 3)
        self.tower_1_mixed_conv = Unit(WIDE, 1, 3)
        self.tower_1_mixed_conv_1 = Unit(WIDE, 3, 1)
        self.tower_2_pool = pool
        self.tower_2_conv = Unit(inputs)

    def forward(self, x):
        a, b = self.tower_conv(x), self.tower_1_conv_1(self.tower_1_conv(x))
        forks = [self.tower_mixed_conv(a), self.tower_mixed_conv_1(a)]
        forks += [self.tower_1_mixed_conv(b), self.tower_1_mixed_conv_1(b)]
        return torch.cat([self.conv(x)] + forks + [self.tower_2_conv(self.tower_2_pool(x))], 1)


class Inception(Module):
    def __init__(self):
        super().__init__()
        narrow = [(1, 1), (5, 5)], [(1, 1), (3, 3), (3, 3)]
        long = [(1, 1), (1, 7), (7, 1)], [(1, 1), (7, 1), (1, 7), (7, 1), (1, 7)]
        four, halved, six = 4 * WIDE, 4 * WIDE + 2 * WIDE, 6 * WIDE
        unpadded = Unit(WIDE, 3, 3), Unit(WIDE, 3, 3)
        for unit in unpadded:
            unit.padding = [0, 0]
        self.layers = Sequential(OrderedDict(
            conv=Unit(3, 3, 3, 2), conv_1=unpadded[0], conv_2=Unit(WIDE, 3, 3), pool0=MaxPool2d(3, stride=2),
            conv_3=Unit(WIDE), conv_4=unpadded[1], pool1=MaxPool2d(3, stride=2),
            mixed=Flat(WIDE, *narrow), mixed_1=Flat(four, *narrow), mixed_2=Flat(four, *narrow), mixed_3=HalvingOnce(four),
            mixed_4=Flat(halved, *long), mixed_5=Flat(four, *long), mixed_6=Flat(four, *long), mixed_7=Flat(four, *long),
            mixed_8=HalvingTwice(four), mixed_9=Forked(halved, average()), mixed_10=Forked(six, MaxPool2d(3, stride=1, padding=1)),
            pool2=AvgPool2d(8),
        ))
        self.output = torch.nn.Linear(six, 5)

    def forward(self, x):
        """x: images of 299 x 299 in 0..=255"""
        features = self.layers((x - 128) / 128).flatten(1)
        return features, self.output(features)


torch.manual_seed(0)
module = torch.jit.script(Inception().eval())
module.save("inception.pt")
c, y, x = torch.meshgrid(torch.arange(3), torch.arange(299), torch.arange(299), indexing="ij")
with torch.no_grad():
    features, logits = module(((90 * c + 3 * y + x * y // 7) % 256).float()[None])
print(features[0].tolist(), logits[0].tolist(), sep="\n")
