"""The files of this folder, as torch 2 wrote them. usage: make.py OUTDIR"""
import collections, os, pickle, sys
import torch

out = sys.argv[1]
# What stands in for the sources of torch's classes, which are torch's.
torch.serialization.get_source_lines_and_file = lambda *_: (["# a line of source\n"] * 40, 0, "module.py")

def tensors():
    return collections.OrderedDict(
        weight=torch.arange(300, dtype=torch.float32).reshape(20, 15) * 0.37 - 50,
        bytes=torch.arange(256, dtype=torch.uint8),
        expanded=torch.tensor([2.5]).expand(3, 4),
    )

# Whole pickles: before protocol 3 there are no bytes, and `_codecs.encode(text, "latin1")` stands for them.
for protocol in (0, 1, 2, 4):
    with open(os.path.join(out, f"protocol-{protocol}.pkl"), "wb") as f:
        pickle.dump(tensors(), f, protocol=protocol)

# Torch's own files, before and after it took to zips.
for protocol in (1, 2, 4):
    torch.save(tensors(), os.path.join(out, f"legacy-{protocol}.pth"), pickle_protocol=protocol, _use_new_zipfile_serialization=False)
torch.save({"epoch": 3, "state_dict": tensors()}, os.path.join(out, "nested.pth"))

# Whole modules; the classes in a legacy file come with their sources.
layer = torch.nn.Sequential(torch.nn.Linear(15, 20))
with torch.no_grad():
    layer[0].weight.copy_(tensors()["weight"])
    layer[0].bias.copy_(torch.arange(20))
torch.save(layer, os.path.join(out, "module-legacy.pt"), _use_new_zipfile_serialization=False)
torch.save(layer, os.path.join(out, "module.pt"))
torch.save(torch.nn.DataParallel(layer), os.path.join(out, "module-parallel.pt"))
wrapped = collections.OrderedDict(("_orig_mod.module." + name, tensor) for name, tensor in tensors().items())
torch.save(wrapped, os.path.join(out, "wrapped.pth"))
