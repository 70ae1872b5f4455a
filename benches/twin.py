"""The same networks, losses and updates as `step.rs`, written in PyTorch: what we are compared with.

Straight PyTorch as the field writes it: NCHW, float32, fused Adam, `foreach` EMA. Only shapes and arithmetic matter here,
so weights are drawn at random.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

# Name: batch, channels of the images, resolution, family, settings; as in step.rs.
NETWORKS = {
    "digits": (64, 1, 8, "song", dict(channels=16, mult=[1, 2], blocks=1, attention=[])),
    "small32": (16, 3, 32, "song", dict(channels=32, mult=[1, 2, 2], blocks=2, attention=[16])),
    "wide32": (8, 3, 32, "song", dict(channels=128, mult=[1, 2, 2], blocks=2, attention=[16])),
    "adm": (4, 3, 64, "adm", dict(channels=64, mult=[1, 2, 3, 4], blocks=1, attention=[32, 16, 8])),
    "edm2": (4, 4, 64, "edm2", dict(channels=64, mult=[1, 2, 3, 4], blocks=1, attention=[16, 8])),
    "cifar10": (8, 3, 32, "song", dict(channels=128, mult=[2, 2, 2], blocks=4, attention=[16])),
    "imagenet64": (2, 3, 64, "adm", dict(channels=192, mult=[1, 2, 3, 4], blocks=3, attention=[32, 16, 8])),
    "edm2_xs": (2, 4, 64, "edm2", dict(channels=128, mult=[1, 2, 3, 4], blocks=3, attention=[16, 8])),
}


def attend(qkv, heads, normalize=False):
    n, c3, h, w = qkv.shape
    q, k, v = qkv.reshape(n * heads, c3 // 3 // heads, 3, h * w).unbind(2)
    if normalize:
        q, k, v = (pixel_norm(t) for t in (q, k, v))
    weights = torch.einsum("ncq,nck->nqk", q, k / math.sqrt(q.shape[1])).softmax(dim=2)
    return torch.einsum("nqk,nck->ncq", weights, v).reshape(n, c3 // 3, h, w)


def pixel_norm(x, dim=1):
    return x / (x.square().mean(dim, keepdim=True).sqrt() + 1e-4)


def skeleton(resolution, channels, mult, blocks, attention, every_decoder_block):
    """Layers of encoder and decoder, (c_in, c_out, resampling, merges, attends), and the last width."""
    c = channels
    enc, dec, skips = [], [], [c]
    for level, m in enumerate(mult):
        attends = (resolution >> level) in attention
        if level:
            enc.append((c, c, "down", False, False))
            skips.append(c)
        for _ in range(blocks):
            enc.append((c, channels * m, None, False, attends))
            c = channels * m
            skips.append(c)
    for level, m in reversed(list(enumerate(mult))):
        attends = (resolution >> level) in attention
        if level == len(mult) - 1:
            dec += [(c, c, None, False, True), (c, c, None, False, False)]
        else:
            dec.append((c, c, "up", False, False))
        for i in range(blocks + 1):
            dec.append((c + skips.pop(), channels * m, None, True, attends and (every_decoder_block or i == blocks)))
            c = channels * m
    return enc, dec, c


def resample(x, how):
    if how == "down":
        return F.avg_pool2d(x, 2)
    return F.interpolate(x, scale_factor=2, mode="nearest") if how == "up" else x


class EdmBlock(nn.Module):
    """The residual block of DDPM++ and, with `adm`, of ADM."""

    def __init__(self, c_in, c_out, emb, resampling, attends, adm):
        super().__init__()
        groups = lambda c: min(32, c // 4)
        eps = 1e-5 if adm else 1e-6
        self.adm, self.resampling, self.scale = adm, resampling, 1.0 if adm else math.sqrt(0.5)
        self.norm0 = nn.GroupNorm(groups(c_in), c_in, eps)
        self.conv0 = nn.Conv2d(c_in, c_out, 3, padding=1)
        self.affine = nn.Linear(emb, c_out * (2 if adm else 1))
        self.norm1 = nn.GroupNorm(groups(c_out), c_out, eps)
        self.conv1 = nn.Conv2d(c_out, c_out, 3, padding=1)
        self.skip = nn.Conv2d(c_in, c_out, 1) if c_in != c_out or (resampling and not adm) else None
        self.heads = (c_out // 64 if adm else 1) if attends else 0
        if self.heads:
            self.norm2 = nn.GroupNorm(groups(c_out), c_out, eps)
            self.qkv, self.proj = nn.Conv2d(c_out, 3 * c_out, 1), nn.Conv2d(c_out, c_out, 1)

    def forward(self, x, emb):
        h = self.conv0(resample(F.silu(self.norm0(x)), self.resampling))
        condition = self.affine(emb)[:, :, None, None]
        if self.adm:
            scale, shift = condition.chunk(2, dim=1)
            h = F.silu(torch.addcmul(shift, self.norm1(h), scale + 1))
        else:
            h = F.silu(self.norm1(h + condition))
        h = self.conv1(h)
        x = resample(x, self.resampling)
        x = (h + (self.skip(x) if self.skip is not None else x)) * self.scale
        if self.heads:
            x = (self.proj(attend(self.qkv(self.norm2(x)), self.heads)) + x) * self.scale
        return x


class EdmUNet(nn.Module):
    def __init__(self, resolution, images, adm, channels, mult, blocks, attention):
        super().__init__()
        enc, dec, last = skeleton(resolution, channels, mult, blocks, attention, adm)
        emb = channels * 4
        self.adm, self.channels = adm, channels
        first = channels
        self.map0, self.map1 = nn.Linear(channels, emb), nn.Linear(emb, emb)
        self.conv_in = nn.Conv2d(images, first, 3, padding=1)
        self.enc = nn.ModuleList(EdmBlock(i, o, emb, r, a, adm) for i, o, r, _, a in enc)
        self.dec = nn.ModuleList(EdmBlock(i, o, emb, r, a, adm) for i, o, r, _, a in dec)
        self.merges = [m for _, _, _, m, _ in dec]
        self.norm_out = nn.GroupNorm(min(32, last // 4), last, 1e-5 if adm else 1e-6)
        self.conv_out = nn.Conv2d(last, images, 3, padding=1)

    def embed(self, c_noise):
        half = self.channels // 2
        freqs = torch.arange(half, device=c_noise.device) / (half - (0 if self.adm else 1))
        angles = c_noise[:, None] * (1e-4**freqs)[None]
        return F.silu(self.map1(F.silu(self.map0(torch.cat([angles.sin(), angles.cos()], dim=1)))))

    def encode(self, x, emb):
        skips = [self.conv_in(x)]
        for block in self.enc:
            skips.append(block(skips[-1], emb))
        return skips

    def decode(self, skips, emb):
        x, skips = skips[-1], list(skips)
        for block, merges in zip(self.dec, self.merges):
            x = block(torch.cat([x, skips.pop()], dim=1) if merges else x, emb)
        return self.conv_out(F.silu(self.norm_out(x)))


class MpConv(nn.Module):
    def __init__(self, c_in, c_out, *kernel):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(c_out, c_in, *kernel))

    def forward(self, x, gain=1.0):
        w = self.weight
        norm = torch.linalg.vector_norm(w, dim=list(range(1, w.ndim)), keepdim=True) / math.sqrt(w[0].numel())
        w = w / (norm + 1e-4) * (gain / math.sqrt(w[0].numel()))
        return x @ w.t() if w.ndim == 2 else F.conv2d(x, w, padding=w.shape[-1] // 2)


    def normalize(self):
        with torch.no_grad():
            w = self.weight
            norm = torch.linalg.vector_norm(w, dim=list(range(1, w.ndim)), keepdim=True) / math.sqrt(w[0].numel())
            w.copy_(w / (norm + 1e-4))


def mp_silu(x):
    return F.silu(x) / 0.596


def mp_sum(a, b, t):
    return a.lerp(b, t) / math.hypot(1 - t, t)


def mp_cat(a, b):
    c = math.sqrt((a.shape[1] + b.shape[1]) / 0.5) * 0.5
    return torch.cat([a * (c / math.sqrt(a.shape[1])), b * (c / math.sqrt(b.shape[1]))], dim=1)


class Edm2Block(nn.Module):
    def __init__(self, c_in, c_out, emb, resampling, attends, encoder):
        super().__init__()
        self.encoder, self.resampling = encoder, resampling
        self.gain = nn.Parameter(torch.zeros(1))
        self.res0 = MpConv(c_out if encoder else c_in, c_out, 3, 3)
        self.emb = MpConv(emb, c_out)
        self.res1 = MpConv(c_out, c_out, 3, 3)
        self.skip = MpConv(c_in, c_out, 1, 1) if c_in != c_out else None
        self.heads = c_out // 64 if attends else 0
        if self.heads:
            self.qkv, self.proj = MpConv(c_out, 3 * c_out, 1, 1), MpConv(c_out, c_out, 1, 1)

    def forward(self, x, emb):
        x = resample(x, self.resampling)
        if self.encoder:
            x = pixel_norm(self.skip(x) if self.skip is not None else x)
        y = self.res0(mp_silu(x))
        y = self.res1(mp_silu(y * (self.emb(emb, self.gain) + 1)[:, :, None, None]))
        if not self.encoder and self.skip is not None:
            x = self.skip(x)
        x = mp_sum(x, y, 0.3)
        if self.heads:
            x = mp_sum(x, self.proj(attend(self.qkv(x), self.heads, True)), 0.3)
        return x.clip(-256, 256)


class Edm2UNet(nn.Module):
    def __init__(self, resolution, images, channels, mult, blocks, attention):
        super().__init__()
        enc, dec, last = skeleton(resolution, channels, mult, blocks, attention, True)
        emb, noise = channels * max(mult), channels * mult[0]
        self.register_buffer("freqs", 2 * math.pi * torch.randn(noise))
        self.register_buffer("phases", 2 * math.pi * torch.rand(noise))
        self.noise, self.conv_in = MpConv(noise, emb), MpConv(images + 1, noise, 3, 3)
        self.enc = nn.ModuleList(Edm2Block(i, o, emb, r, a, True) for i, o, r, _, a in enc)
        self.dec = nn.ModuleList(Edm2Block(i, o, emb, r, a, False) for i, o, r, _, a in dec)
        self.merges = [m for _, _, _, m, _ in dec]
        self.conv_out, self.gain = MpConv(last, images, 3, 3), nn.Parameter(torch.zeros(1))
        self.register_buffer("logvar_freqs", 2 * math.pi * torch.randn(128))
        self.register_buffer("logvar_phases", 2 * math.pi * torch.rand(128))
        self.logvar = MpConv(128, 1)

    def embed(self, c_noise):
        return mp_silu(self.noise((c_noise[:, None] * self.freqs + self.phases).cos() * math.sqrt(2)))

    def uncertainty(self, c_noise):
        features = (c_noise[:, None] * self.logvar_freqs + self.logvar_phases).cos() * math.sqrt(2)
        return self.logvar(features).reshape(-1, 1, 1, 1)

    def encode(self, x, emb):
        skips = [self.conv_in(torch.cat([x, torch.ones_like(x[:, :1])], dim=1))]
        for block in self.enc:
            skips.append(block(skips[-1], emb))
        return skips

    def decode(self, skips, emb):
        x, skips = skips[-1], list(skips)
        for block, merges in zip(self.dec, self.merges):
            x = block(mp_cat(x, skips.pop()) if merges else x, emb)
        return self.conv_out(x, self.gain)


def inception():
    """Torchvision's Inception v3 with the layers of FID's network (but for the kind of two pools), at 299x299."""
    from torchvision.models import inception_v3

    network = inception_v3(weights=None, num_classes=1008, aux_logits=False, init_weights=False)
    return network.eval().requires_grad_(False)


def weights(network):
    """Everything that makes up a network's function."""
    return {name: t for name, t in network.state_dict().items() if not name.endswith("num_batches_tracked")}


class Preconditioned(nn.Module):
    """EDM's preconditioning; gives the images, the discriminator's logits and the uncertainty."""

    def __init__(self, name):
        super().__init__()
        _, images, resolution, family, settings = NETWORKS[name]
        if family == "edm2":
            self.model = Edm2UNet(resolution, images, **settings)
        else:
            self.model = EdmUNet(resolution, images, family == "adm", **settings)
        self.edm2 = family == "edm2"

    def forward(self, x, sigma, encoder_only=False):
        total = sigma.square() + 0.25
        c_noise = sigma.flatten().log() / 4
        emb = self.model.embed(c_noise)
        skips = self.model.encode(x / total.sqrt(), emb)
        logits = skips[-1].mean(1, keepdim=True)
        if encoder_only:
            return logits
        f = self.model.decode(skips, emb)
        logvar = self.model.uncertainty(c_noise) if self.edm2 else None
        return x * (0.25 / total) + f * (sigma * 0.5 / total.sqrt()), logits, logvar

    def normalize_weights(self):
        """EDM2 keeps its weights at unit magnitude in training."""
        for module in self.modules():
            if isinstance(module, MpConv):
                module.normalize()
