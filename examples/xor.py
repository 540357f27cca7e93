"""XOR: four points that no single neuron can separate, and the smallest network that can.

    python examples/xor.py                              # on the GPU: --device cuda

It shows the five lines that every training loop here is made of: predict, measure, clear the gradients,
send the loss back, let the optimiser change the weights.

Expect: the loss falls from about 0.8 (a coin toss would be ln 2 = 0.69) to under 0.01, and the last line says
so: all four points right.
"""
import argparse

import nanoemo
from nanoemo import Tensor, nn, ops, optim

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
parser.add_argument("--steps", type=int, default=200)
args = parser.parse_args()
nanoemo.set_default_device(args.device)
nanoemo.manual_seed(0)

inputs = Tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
labels = Tensor([0, 1, 1, 0])                               # 1 where exactly one input is 1

# Without the tanh in between, two linear layers would be one linear layer, and fail.
model = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 2)).to(args.device)
optimizer = optim.Adam(model.parameters(), lr=0.05)

for step in range(args.steps):
    loss = ops.cross_entropy(model(inputs), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % (args.steps // 5 or 1) == 0:
        print(f"step {step:>4}  loss {loss.item():.4f}")

with nanoemo.no_grad():
    scores = model(inputs)
for point, score in zip(inputs.cpu().numpy(), scores.softmax().cpu().numpy()):
    print(f"{point.astype(int).tolist()}  probability of 1: {score[1]:.3f}")
right = (scores.cpu().numpy().argmax(axis=1) == labels.cpu().numpy()).sum()
print(f"{right} of 4 right, loss {ops.cross_entropy(scores, labels).item():.4f}")
