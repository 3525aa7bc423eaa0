"""The things themselves: imported when they are used."""

import os
import signal

import numpy as np
import pyarrow as pa
from art.attacks.attack import EvasionAttack
from art.attacks.evasion import ProjectedGradientDescent  # noqa: F401 - a heavy import, as real plugins have
from art.estimators import BaseEstimator

from art_weakrobust.results import PerturbationType, Scores, Validation


class Darken(EvasionAttack):
    attack_params = [*EvasionAttack.attack_params, "norm", "eps"]  # noqa: RUF012 - as ART has it
    _estimator_requirements = (BaseEstimator,)

    def __init__(self, estimator, norm=np.inf, eps=0.1):
        super().__init__(estimator=estimator)
        self.norm, self.eps = norm, eps

    def generate(self, x, y=None, **kwargs):
        return np.clip(x - self.eps, 0, 1).astype(np.float32)


def grey_filter(x, ids, severity, seed):
    return x * (1 - 0.1 * severity)


def unsure(seed=0):
    def score(estimator, data, over):
        def chunk(estimator, samples):
            logits = np.asarray(estimator.predict(samples.x), np.float64)
            p = np.exp(logits - logits.max(1, keepdims=True))
            return pa.table({"index": samples.ids, "score": 1 - (p / p.sum(1, keepdims=True)).max(1)})

        return Scores(over("unsure", chunk, estimator, data))

    return score


class CleanOnly:
    """Knows nothing of resuming; the environment may ask it to die between two chunks, as a test does."""

    def __init__(self, classifier):
        self.classifier = classifier
        self.chunks = 0

    def validate(self, estimator, sets, over):
        def chunk(estimator, samples):
            self.chunks += 1
            if self.chunks == int(os.environ.get("DIE_AT_CHUNK", "0")):
                os.kill(os.getpid(), signal.SIGKILL)
            with open(os.environ.get("CHUNK_LOG", os.devnull), "a") as log:
                log.write(f"{samples.ids[0]}\n")
            prediction = estimator.predict(samples.x).argmax(1)
            return pa.table(
                {
                    "index": samples.ids,
                    "set": pa.array([name] * len(samples)),
                    "type": pa.array(["clean"] * len(samples)),
                    "label": samples.y,
                    "prediction": prediction,
                    "correct": prediction == samples.y,
                    "status": pa.array(["ok"] * len(samples)),
                }
            )

        tables = []
        for name, (data, ids) in sets.items():
            tables.append(over(f"clean/{name}", chunk, estimator, data, ids))
        return Validation(pa.concat_tables(tables), (PerturbationType("clean", "clean"),))
