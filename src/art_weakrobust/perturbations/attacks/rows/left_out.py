"""Classes of ``art.attacks.evasion`` that have no row, and why."""

from __future__ import annotations

_PATCH = "a patch, not a perturbation inside an Lp ball"
_OTHER = "not an attack on an image classifier"
_TENSORFLOW = "TensorFlow alone"

LEFT_OUT = {
    "AdversarialPatch": _PATCH,
    "AdversarialPatchNumpy": _PATCH,
    "AdversarialPatchPyTorch": _PATCH,
    "AdversarialPatchTensorFlowV2": _PATCH,
    "AdversarialTexturePyTorch": _OTHER,
    "CarliniWagnerASR": _OTHER,
    "CompositeAdversarialAttackPyTorch": "turns hue, light and geometry, which no Lp budget holds; needs kornia",
    "DPatch": _PATCH,
    "DecisionTreeAttack": _OTHER,
    "FeatureAdversariesNumpy": "y are guide images that somebody has to choose",
    "FeatureAdversariesPyTorch": "y are guide images that somebody has to choose",
    "FeatureAdversariesTensorFlowV2": _TENSORFLOW,
    "FrameSaliencyAttack": _OTHER,
    "GRAPHITEBlackbox": "a sticker under changes of view, not a perturbation inside an Lp ball",
    "GRAPHITEWhiteboxPyTorch": "a sticker under changes of view, not a perturbation inside an Lp ball",
    "GeoDA": "uses numpy.mat, which NumPy 2 has not, and writes a file into the current directory",
    "HighConfidenceLowUncertainty": _OTHER,
    "ImperceptibleASR": _OTHER,
    "ImperceptibleASRPyTorch": _OTHER,
    "LaserAttack": "a beam of light across the image, not a perturbation inside an Lp ball",
    "LowProFool": "made for tables: it weighs named columns",
    "MalwareGDTensorFlow": _OTHER,
    "OverTheAirFlickeringPyTorch": _OTHER,
    "OverloadPyTorch": _OTHER,
    "PixelAttack": "changes a few pixels by any amount, which no L1, L2 or Linf budget holds",
    "ProjectedGradientDescentTensorFlowV2": _TENSORFLOW,
    "RobustDPatch": _PATCH,
    "SNAL": _OTHER,
    "ShadowAttack": "attacks one image alone, by a perturbation without any bound",
    "SimBA": "needs a model that gives probabilities; ours give logits",
    "SpatialTransformation": "turns and shifts all images alike, which no Lp budget holds",
    "VirtualAdversarialMethod": "needs a model that gives probabilities, and as many queries as pixels a step",
    "Wasserstein": "its budget is a Wasserstein distance, which no verdict here measures",
}
"""Name of a class -> why it has no row. A factory that builds one can be handed in all the same."""
