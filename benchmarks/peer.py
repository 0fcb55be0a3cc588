"""Run one of the public trainings to which the recipes are compared.

    python benchmarks/peer.py NAME --data PATH [--seed 0]

Reads with pandas and trains with the standard loop of Keras or PyTorch, on the same rows as a recipe with this seed.
Validates after each epoch, writes submission.csv into the current folder, and prints one line of JSON.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from digit_recognizer.evaluation.metrics import evaluate  # noqa: E402
from digit_recognizer.evaluation.prediction import average_log_p, log_probabilities  # noqa: E402
from digit_recognizer.models.summary import layer_table  # noqa: E402
from public import PEERS, Images, Peer  # noqa: E402

Predictor = Callable[[Images], np.ndarray]  # images to log-probabilities


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=list(PEERS))
    parser.add_argument("--data", type=Path, required=True, help="folder with the real CSVs")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    peer = PEERS[options.name]
    train, test = (pd.read_csv(options.data / name, dtype=np.uint8) for name in ("train.csv", "test.csv"))
    labels = train.pop("label").to_numpy()
    images, test_images = (table.to_numpy().reshape(-1, 28, 28, 1).astype("float32") / 255 for table in (train, test))
    around = (peer.side - 28) // 2
    images, test_images = (
        np.pad(a, ((0, 0), (around, around), (around, around), (0, 0))) for a in (images, test_images)
    )
    fitted, held_out = train_test_split(
        np.arange(len(labels)), test_size=0.1, stratify=labels, random_state=options.seed
    )
    begun, epochs = 0.0, []

    def begin() -> None:  # called when the library is loaded
        nonlocal begun
        begun = time.perf_counter()

    def validate(predict: Predictor) -> None:  # called after each epoch
        metrics = evaluate(predict(images[held_out]), labels[held_out])
        seconds = round(time.perf_counter() - begun, 3)
        epochs.append({"seconds": seconds, "accuracy": round(metrics.accuracy, 5), "loss": round(metrics.log_loss, 5)})

    run = by_keras if peer.build else by_pytorch
    predict, weights, multiply_adds = run(peer, options.seed, images[fitted], labels[fitted], begin, validate)
    test_labels = predict(test_images).argmax(axis=1)
    table = pd.DataFrame({"ImageId": np.arange(1, len(test_images) + 1), "Label": test_labels})
    table.to_csv("submission.csv", index=False)
    last = epochs[-1]
    print(
        json.dumps(
            {"epochs": epochs, "accuracy": last["accuracy"], "loss": last["loss"], "train": last["seconds"]}
            | {"weights": weights, "multiply_adds": multiply_adds}
        )
    )


def by_keras(
    peer: Peer, seed: int, x: Images, y: Any, begin: Callable[[], None], validate: Callable[[Predictor], None]
) -> tuple[Predictor, int, int]:
    """Returns the predictor of the trained network, its number of weights and its number of multiply-adds."""
    import keras

    keras.utils.set_random_seed(seed)
    keras.ops.zeros(1)
    begin()
    model = peer.build()

    def predict(images: Images) -> Images:
        return log_probabilities(model, images)

    n_steps = peer.epochs * -(-len(x) // peer.batch_size)
    model.compile(
        peer.optimizer(n_steps) if peer.optimizer else keras.optimizers.Adam(1e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    callbacks = [keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: validate(predict))]
    callbacks += [keras.callbacks.LearningRateScheduler(peer.rate)] if peer.rate else []
    rounds = [(epoch, epoch + 1) for epoch in range(peer.epochs)] if peer.shown else [(0, peer.epochs)]
    for first, last in rounds:
        model.fit(
            peer.shown(x, seed, first) if peer.shown else x,
            y,
            batch_size=peer.batch_size,
            initial_epoch=first,
            epochs=last,
            callbacks=callbacks,
            verbose=0,
        )
    return predict, model.count_params(), sum(layer.multiply_adds for layer in layer_table(model))


def by_pytorch(
    peer: Peer, seed: int, x: Images, y: Any, begin: Callable[[], None], validate: Callable[[Predictor], None]
) -> tuple[Predictor, int, int]:
    """PyTorch's MNIST example: 3x3 convolutions of 32 and 64 maps, pooling, dropout, dense 128. See `by_keras`."""
    import torch
    from torch import nn

    torch.manual_seed(seed)
    begin()
    model = nn.Sequential(
        *(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25)),
        *(nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10)),
    )

    def normalised(images: Images) -> Any:
        return (torch.from_numpy(images[..., 0])[:, None] - 0.1307) / 0.3081

    x = normalised(x)
    y = torch.from_numpy(y.astype(np.int64))
    optimizer = torch.optim.Adadelta(model.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.7)

    def predict(images: Images) -> Images:
        model.eval()
        with torch.no_grad():
            return average_log_p([np.concatenate([model(part).numpy() for part in normalised(images).split(1000)])])

    for _ in range(peer.epochs):
        model.train()
        for rows in torch.randperm(len(x)).split(peer.batch_size):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
        schedule.step()
        validate(predict)
    weights = sum(weight.numel() for weight in model.parameters())
    return predict, weights, 26**2 * 288 + 24**2 * 18432 + 9216 * 128 + 1280


if __name__ == "__main__":
    main()
