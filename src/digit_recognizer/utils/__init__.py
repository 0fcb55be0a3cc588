"""Files, locks, signals, the terminal, the environment and Keras's backend."""
