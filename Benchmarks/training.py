"""The network that the Swift benchmark describes, trained in Python with the same torch and settings.

Usage: training.py FILE, with the JSON that `spaceevo-training-benchmark describe` prints. One JSON line a mode: float,
quantised (torch's own learnable fake quantisation of every convolution's weights and of every node's output), and
bfloat16 (the input gradient of depthwise convolutions with a stride in float32, since torch's kernel for it is slow).
"""

import json
import sys
import time

import torch
import torch.nn.functional as F

BATCH = 64


class StridedDepthwise(torch.autograd.Function):
    """Depthwise convolution in bfloat16 whose input gradient is computed in float32."""

    @staticmethod
    def forward(context, x, weight, stride, padding):
        context.save_for_backward(x, weight)
        context.geometry = (stride, padding)
        return F.conv2d(x, weight, None, stride, padding, 1, x.shape[1])

    @staticmethod
    def backward(context, gradient):
        x, weight = context.saved_tensors
        stride, padding = context.geometry
        arguments = ([0], [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], x.shape[1])
        dx = torch.ops.aten.convolution_backward(
            gradient.float(), x.float(), weight.float(), *arguments, [True, False, False])[0]
        dw = torch.ops.aten.convolution_backward(gradient, x, weight, *arguments, [False, True, False])[1]
        return dx.to(x.dtype), dw, None, None


class Network(torch.nn.Module):
    def __init__(self, nodes, mode):
        super().__init__()
        self.nodes, self.mode = nodes, mode
        self.convolutions, self.norms = torch.nn.ModuleDict(), torch.nn.ModuleDict()
        self.scales, self.zeros = torch.nn.ParameterDict(), torch.nn.ParameterDict()
        for index, node in enumerate(nodes):
            key = str(index)
            if node["operation"] == "convolution":
                inputs, outputs = node["channels"]
                self.convolutions[key] = torch.nn.Conv2d(
                    inputs, outputs, node["kernel"], node["stride"], node["kernel"] // 2, groups=node["groups"],
                    bias=node["bias"])
                if node["batchNorm"]:
                    self.norms[key] = torch.nn.BatchNorm2d(outputs)
                self.scales["w" + key] = torch.nn.Parameter(torch.full((outputs,), 0.01))
            if node["operation"] != "input":
                self.scales["a" + key] = torch.nn.Parameter(torch.tensor([0.03]))
                self.zeros["a" + key] = torch.nn.Parameter(
                    torch.tensor([0.0 if node["range"] != "unbounded" else 128.0]))

    def convolve(self, key, node, x):
        layer = self.convolutions[key]
        weight = layer.weight
        if self.mode == "quantised":
            outputs = weight.shape[0]
            weight = torch._fake_quantize_learnable_per_channel_affine(
                weight, self.scales["w" + key], torch.zeros(outputs), 0, -127, 127,
                1 / (weight[0].numel() * 127) ** 0.5)
        if self.mode == "bfloat16" and node["groups"] > 1 and node["stride"] > 1:
            x = StridedDepthwise.apply(x, weight.to(torch.bfloat16), node["stride"], node["kernel"] // 2)
        else:
            x = layer._conv_forward(x, weight, layer.bias)
        return self.norms[key](x) if key in self.norms else x

    def forward(self, images):
        values = []
        for index, node in enumerate(self.nodes):
            key, operation = str(index), node["operation"]
            inputs = [values[i] for i in node["inputs"]]
            if operation == "input":
                values.append(images)
                continue
            if operation == "convolution":
                x = self.convolve(key, node, inputs[0])
            elif operation == "add":
                x = inputs[0] + inputs[1]
            elif operation == "multiply":
                x = inputs[0] * inputs[1]
            elif operation == "pool":
                x = inputs[0].mean((2, 3), keepdim=True)
            else:
                x = {"hard-swish": F.hardswish, "swish": F.silu, "hard-sigmoid": F.hardsigmoid}[operation](inputs[0])
            if self.mode == "quantised":
                x = torch._fake_quantize_learnable_per_tensor_affine(
                    x, self.scales["a" + key], self.zeros["a" + key], 0, 255, 1 / (x[0].numel() * 255) ** 0.5)
            elif node["range"] == "relu":
                x = F.relu(x)
            elif node["range"] == "relu6":
                x = F.relu6(x)
            values.append(x)
        return values[-1].flatten(1)


def main():
    torch.set_num_threads(1)
    torch.manual_seed(1)
    nodes = json.load(open(sys.argv[1]))
    images = torch.randn(BATCH, 1, 32, 32).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, 10, (BATCH,))
    for mode in ("float", "quantised", "bfloat16"):
        network = Network(nodes, mode).to(memory_format=torch.channels_last)
        optimizer = torch.optim.SGD(network.parameters(), 1e-4, momentum=0.9, nesterov=True, weight_decay=3e-5)
        best = float("inf")
        for step in range(13):
            start = time.perf_counter()
            with torch.autocast("cpu", torch.bfloat16, enabled=mode == "bfloat16"):
                logits = network(images)
            loss = F.cross_entropy(logits.float(), labels, label_smoothing=0.1)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            if step > 0:
                best = min(best, time.perf_counter() - start)
        print(json.dumps({"mode": mode, "imagesPerSecond": BATCH / best}), flush=True)


main()
