"""Convolutional networks of public notebooks and tutorials, layer by layer."""

from typing import Any


def deep_cnn(dropout: float = 0.25) -> Any:
    """(n, 28, 28, 1) -> logits (n, 10); 471,914 weights, of them 128 moving statistics."""
    from keras import Sequential, layers

    return Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu", name="conv1"),  # 26
            layers.Conv2D(32, 3, activation="relu", name="conv2"),  # 24
            layers.MaxPooling2D(2, name="pool1"),  # 12
            *([layers.Dropout(dropout, name="dropout")] if dropout else []),
            layers.Conv2D(32, 3, activation="relu", name="conv3"),  # 10
            layers.Conv2D(32, 3, activation="relu", padding="same", name="conv4"),  # 10
            layers.MaxPooling2D(2, name="pool2"),  # 5
            layers.Flatten(name="flatten"),  # 800
            layers.Dense(512, activation="relu", name="dense1"),
            layers.Dense(64, activation="relu", name="dense2"),
            layers.BatchNormalization(name="norm"),
            layers.Dense(10, name="output"),
        ]
    )


def simple_cnn(dropout: float = 0.2) -> Any:
    """(n, 28, 28, 1) -> logits (n, 10); 607,394 weights. The convolution is linear, as in the tutorials."""
    from keras import Sequential, layers

    return Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(28, 3, name="conv"),  # 26
            layers.MaxPooling2D(2, name="pool"),  # 13
            layers.Flatten(name="flatten"),  # 4,732
            layers.Dense(128, activation="relu", name="dense"),
            *([layers.Dropout(dropout, name="dropout")] if dropout else []),
            layers.Dense(10, name="output"),
        ]
    )


def wide_cnn(dropout: float = 0.0) -> Any:
    """(n, 28, 28, 1) -> logits (n, 10); 225,546 weights."""
    from keras import Sequential, layers

    return Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(32, 5, activation="relu", name="conv1"),  # 24
            layers.MaxPooling2D(2, name="pool1"),  # 12
            layers.Conv2D(64, 3, activation="relu", name="conv2"),  # 10
            layers.MaxPooling2D(2, name="pool2"),  # 5
            layers.Flatten(name="flatten"),  # 1,600
            layers.Dense(128, activation="relu", name="dense"),
            *([layers.Dropout(dropout, name="dropout")] if dropout else []),
            layers.Dense(10, name="output"),
        ]
    )


def strided_cnn(dropout: float = 0.0) -> Any:
    """(n, 28, 28, 1) -> logits (n, 10); 325,578 weights. Convolutions of stride 2 replace pooling."""
    from keras import Sequential, layers

    def conv(filters: int, size: int, name: str, **kind: Any) -> Any:
        return layers.Conv2D(filters, size, activation="relu", name=name, **kind)

    def drop(name: str) -> list[Any]:
        return [layers.Dropout(dropout, name=name)] if dropout else []

    return Sequential(
        [
            layers.Input((28, 28, 1)),
            conv(32, 3, "conv1"),  # 26
            conv(32, 3, "conv2"),  # 24
            conv(32, 5, "conv3", strides=2, padding="same"),  # 12
            *drop("dropout1"),
            conv(64, 3, "conv4"),  # 10
            conv(64, 3, "conv5"),  # 8
            conv(64, 5, "conv6", strides=2, padding="same"),  # 4
            *drop("dropout2"),
            conv(128, 4, "conv7"),  # 1
            layers.Flatten(name="flatten"),  # 128
            *drop("dropout3"),
            layers.Dense(10, name="output"),
        ]
    )


def vgg_small(dropout: float = 0.0) -> Any:
    """(n, 28, 28, 1) -> logits (n, 10); 140,138 weights. Pairs of 3x3 convolutions, after Simonyan, Zisserman 2015."""
    from keras import Sequential, layers

    def conv(filters: int, name: str) -> Any:
        return layers.Conv2D(filters, 3, activation="relu", padding="same", name=name)

    return Sequential(
        [
            layers.Input((28, 28, 1)),
            conv(32, "conv1"),
            conv(32, "conv2"),
            layers.MaxPooling2D(2, name="pool1"),  # 14
            conv(64, "conv3"),
            conv(64, "conv4"),
            layers.MaxPooling2D(2, name="pool2"),  # 7
            conv(128, "conv5"),
            layers.GlobalMaxPooling2D(name="pool3"),  # 128
            *([layers.Dropout(dropout, name="dropout")] if dropout else []),
            layers.Dense(10, name="output"),
        ]
    )
