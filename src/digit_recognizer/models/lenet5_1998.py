"""LeNet-5 as in LeCun, Bottou, Bengio, Haffner, "Gradient-Based Learning Applied to Document Recognition", 1998.

Section II.B: trainable subsampling, the sparse C3 of Table I, scaled tanh in all layers, an output of fixed bitmaps.
Its loss, equation (9), is `loss = "map"` in a recipe.
"""

from typing import Any


def lenet5_1998(dropout: float = 0.0) -> Any:
    """(n, 32, 32, 1) -> logits (n, 10), the negative distances of the RBF units; 60,000 weights.

    Initial weights are uniform in +-2.4 / fan-in, as in the paper's appendix A.
    """
    from keras import Sequential, layers

    from digit_recognizer.models import lenet5_1998_layers as paper

    return Sequential(
        [
            layers.Input((32, 32, 1)),
            layers.Rescaling(1.275, offset=-0.1, name="input"),  # white -0.1, black 1.175: about mean 0, variance 1
            layers.Conv2D(6, 5, activation=paper.squash, kernel_initializer=paper.uniform(25), name="c1"),  # 28x28x6
            paper.Subsampling(name="s2"),  # 14x14x6
            paper.SparseConvolution(name="c3"),  # 10x10x16
            paper.Subsampling(name="s4"),  # 5x5x16
            layers.Flatten(name="flatten"),  # C5's 5x5 kernels cover the 5x5 maps: a dense layer
            layers.Dense(120, activation=paper.squash, kernel_initializer=paper.uniform(400), name="c5"),
            layers.Dense(84, activation=paper.squash, kernel_initializer=paper.uniform(120), name="f6"),
            *([layers.Dropout(dropout, name="dropout")] if dropout else []),
            paper.SymbolDistance(name="output"),
        ]
    )
