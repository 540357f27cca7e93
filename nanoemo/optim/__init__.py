"""What learns: optimisers, learning-rate schedules, gradient clipping."""
from nanoemo.optim.clip import clip_grad_norm_, clip_grad_value_
from nanoemo.optim.optimizer import BY_NAME, SGD, Adam, AdamW, Optimizer, RMSprop, build
from nanoemo.optim.schedules import (CosineAnnealingLR, ExponentialLR, LinearWarmup, MultiStepLR, ReduceLROnPlateau, StepLR,
                                     build_schedule, parse_schedule)

__all__ = ["Adam", "AdamW", "BY_NAME", "CosineAnnealingLR", "ExponentialLR", "LinearWarmup", "MultiStepLR", "Optimizer",
           "RMSprop", "ReduceLROnPlateau", "SGD", "StepLR", "build", "build_schedule", "clip_grad_norm_", "clip_grad_value_",
           "parse_schedule"]
