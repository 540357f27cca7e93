"""The series paper's procedure in 17 steps, written out: CNN, auto-encoder behind it, classifier behind its encoder.

    python examples/series_staged.py                    # on the GPU: --device cuda

`nanoemo train series.architecture2 --option cnn=cnn1` does the same with checkpoints, plots, drawings of the network and
a report around it, following the recipe in nanoemo/training/stages.py; here is what remains when all that is taken away
(and with it steps 3, 4 and 17, which plot and save). The faces are drawn by formula (docs/data.md) and show nobody.

Expect: about two minutes on two free cores; a line for each of the five trainings. In the last one about half of the
test faces are right (a guess: 14.3 %), fewer than after the first: docs/series.md says more.
"""
import argparse

import nanoemo
from nanoemo import data, models, ops, optim
from nanoemo.models.series import Parts, perceptron
from nanoemo.nn import output_shape
from nanoemo.training import Trainer, predict
from nanoemo.training.reconstruction import Cascade, Reconstructor

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
parser.add_argument("--epochs", type=int, default=5, help="in each of the five trainings")
parser.add_argument("--limit", type=int, help="use at most so many faces of each split")
args = parser.parse_args()
nanoemo.manual_seed(0)

faces = data.load(limit=args.limit)                         # no path: drawn faces
train_loader = data.DataLoader(faces["train"], batch_size=32, shuffle=True, seed=0, transform=data.Scale())
test_loader = data.DataLoader(faces["test"], batch_size=100, transform=data.Scale())
shape = faces["train"].image_shape
rate, fine = 1e-3, 1e-4


def fit(trainer_class, model, loss_fn, lr):
    """Train what is not frozen; returns the last epoch's figures. Each training begins its optimiser anew."""
    trainer = trainer_class(model, optim.Adam(model.parameters(), lr=lr), loss_fn, train_loader)
    return trainer.fit(args.epochs)[-1]


def classify(steps, model, lr):
    fit(Trainer, model, ops.cross_entropy, lr)
    result = predict(model, test_loader)
    accuracy = 100 * (result.truth == result.predicted).mean()
    print(f"steps {steps}: {accuracy:.1f} % of {len(result.truth)} drawn test faces are right", flush=True)


def reconstruct(steps, model, lr):
    loss = fit(Reconstructor, model, ops.binary_cross_entropy, lr)["loss"]
    print(f"steps {steps}: the features are made again with a loss of {loss:.4f}", flush=True)


cnn = models.build("series.cnn1", num_classes=7, input_shape=shape).to(args.device)                     # 1
classify("1–4", cnn, rate)                                                                              # 2

extractor = cnn.extractor                                                                               # 5
features = output_shape(extractor, shape)
auto_encoder = models.build("series.conv_ae", input_shape=features).to(args.device)                     # 6
encoder, decoder = auto_encoder.encoder, auto_encoder.decoder
cascade = Cascade(features[-1], extractor=extractor, encoder=encoder, decoder=decoder).to(args.device)  # 7
extractor.freeze()                                                                                      # 8
cascade.measure_range(train_loader)            # the sigmoid gives 0 … 1, the features have no bound
reconstruct("5–9", cascade, rate)                                                                       # 9
cascade.unfreeze()
reconstruct("10", cascade, fine)                                                                        # 10

both = Parts(extractor=extractor, encoder=encoder)          # the decoder has done its work               11 12
classifier = perceptron(output_shape(both, shape), num_classes=7).to(args.device)
network = Parts(extractor=extractor, encoder=encoder, classifier=classifier)                            # 13
both.freeze()                                                                                           # 14
classify("11–15", network, rate)                                                                        # 15
network.unfreeze()
classify("16–17", network, fine)                                                                        # 16
