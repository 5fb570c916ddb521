"""A simulated smart meter: plausible telegrams of any known model, in real time or at once."""

from .simulated import MODELS, Model, SimulatedMeter

__all__ = ["MODELS", "Model", "SimulatedMeter"]
