"""Our own torch networks: RNN, LSTM, GRU and Transformer classifiers, and how they are saved and loaded.

Knows torch and the shape of an artifact folder; knows nothing of datasets, training or serving. Import the modules, not this
package: importing it loads no torch.
"""
