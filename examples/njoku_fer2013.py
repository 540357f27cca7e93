"""njoku.cnn on FER2013 as the paper trains it, with the library's Trainer.

    python examples/njoku_fer2013.py fer2013.csv        # on the GPU: --device cuda

The data may also be the folder of pictures, or a zip. The settings (Adam, learning rate, batch size,
augmentation) come from the model's recipe, which holds the paper's. FER2013's public test is the validation
set; its private test is looked at once, at the end. The paper trains for 100 epochs: --epochs 100, if you
have the night.

Expect: with the two epochs it makes by default (some minutes on two cores), over 40 % on the private test,
on the last line. A guess would be right 14 % of the time, always saying "happy" 24 %.
"""
import argparse

import nanoemo
from nanoemo import data, models, ops, optim
from nanoemo.training import Trainer, predict, progress
from nanoemo.training.metrics import accuracy, classification_report, format_report

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("data", help="FER2013 from Kaggle: the CSV file, the folder, or a zip of either")
parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
parser.add_argument("--epochs", type=int, default=2)
parser.add_argument("--limit", type=int, help="use only so many images of each split, for a quick look")
args = parser.parse_args()
nanoemo.manual_seed(0)

recipe = models.recipe("njoku.cnn")
faces = data.load(args.data, limit=args.limit)
changes, mix = data.parse_augment(recipe.augment)
train = data.DataLoader(faces["train"], recipe.batch_size, shuffle=True, seed=0,
                        transform=data.Compose([*changes, data.Scale()]), mix=mix)
validation, test = (data.DataLoader(faces[split], recipe.batch_size, transform=data.Scale())
                    for split in ("validation", "test"))

model = models.build("njoku.cnn").to(args.device)
optimizer = optim.Adam(model.parameters(), lr=recipe.lr)
trainer = Trainer(model, optimizer, ops.cross_entropy, train, validation, callbacks=[progress()])
trainer.fit(args.epochs)

result = predict(model, test)
print(format_report(classification_report(result.truth, result.predicted, faces["test"].class_names)))
print(f"private test accuracy: {100 * accuracy(result.truth, result.predicted):.2f} %")
