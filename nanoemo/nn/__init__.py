"""Layers, losses and what they are made of: modules whose parameters an optimiser can change."""
from nanoemo.nn import init
from nanoemo.nn.activation import Activation, LeakyReLU, ReLU, Sigmoid, Softmax, Tanh
from nanoemo.nn.container import Sequential
from nanoemo.nn.conv import Conv1d, Conv2d
from nanoemo.nn.dense import Linear
from nanoemo.nn.loss import BCELoss, CrossEntropyLoss, MSELoss
from nanoemo.nn.module import Buffer, Module, Parameter
from nanoemo.nn.norm import BatchNorm1d, BatchNorm2d, Dropout
from nanoemo.nn.pool import AvgPool1d, AvgPool2d, MaxPool1d, MaxPool2d, MinPool2d, Upsample2d
from nanoemo.nn.recurrent import LSTM
from nanoemo.nn.shape import Flatten, Reshape
from nanoemo.nn.trace import evaluating, output_shape, shapes_of_inputs, undisturbed, watch, zero_inputs

__all__ = ["Activation", "AvgPool1d", "AvgPool2d", "BCELoss", "BatchNorm1d", "BatchNorm2d", "Buffer",
           "Conv1d", "Conv2d", "CrossEntropyLoss", "Dropout", "Flatten", "LSTM", "LeakyReLU",
           "Linear", "MSELoss", "MaxPool1d", "MaxPool2d", "MinPool2d", "Module", "Parameter",
           "ReLU", "Reshape", "Sequential", "Sigmoid", "Softmax", "Tanh", "Upsample2d", "init",
           "evaluating", "output_shape", "shapes_of_inputs", "undisturbed", "watch", "zero_inputs"]
