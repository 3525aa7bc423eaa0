"""Any callable as a classifier: scores or labels in, neighborhoods, corruptions, score and decision attacks on it."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest
import torch
from torch import nn

from art_weakrobust.errors import ModelError
from art_weakrobust.estimators.black_box import black_box
from art_weakrobust.estimators.plugin import weakrobust_register_estimators
from art_weakrobust.models.endpoint import NPY, Endpoint, endpoint
from art_weakrobust.protocols import ModelInfo
from art_weakrobust.testing import check_estimator

SHAPE = (1, 2, 2)
INFO = ModelInfo(name="mine", gradients=False)
X = np.linspace(0, 1, 20, dtype=np.float32).reshape(5, *SHAPE)


def scores(x):
    """Return two probabilities: how dark an image is, and how bright."""
    bright = np.asarray(x).reshape(len(x), -1).mean(1)
    return np.stack([1 - bright, bright], 1)


def labels(x):
    return scores(x).argmax(1)


def test_the_registered_estimator_keeps_the_contract():
    (spec,) = [spec for spec in weakrobust_register_estimators() if spec.name == "black-box"]
    check_estimator(spec)


@pytest.mark.parametrize("said", [scores, lambda x: torch.from_numpy(scores(x)), lambda x: scores(x).tolist()])
def test_scores_pass_as_they_are(said):
    estimator = black_box(said, INFO, input_shape=SHAPE)
    np.testing.assert_allclose(estimator.predict(X), scores(X), rtol=1e-6)
    assert not estimator.decisions_only
    assert estimator.nb_classes == 2


@pytest.mark.parametrize("said", [labels, lambda x: labels(x)[:, None], lambda x: labels(x).astype(np.uint8)])
def test_a_label_is_a_row_with_a_one_at_its_place(said):
    estimator = black_box(said, INFO, input_shape=SHAPE, nb_classes=3)
    np.testing.assert_array_equal(estimator.predict(X), np.eye(3)[labels(X)])
    assert estimator.decisions_only


def test_a_module_is_asked_with_tensors_in_evaluation_mode():
    network = nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(4, 3)).train()
    estimator = black_box(network, INFO, input_shape=SHAPE)
    with torch.no_grad():
        expected = network.eval()(torch.from_numpy(X)).numpy()
    network.train()
    np.testing.assert_allclose(estimator.predict(X), expected, rtol=1e-6)
    assert network.training


def test_no_batch_is_larger_than_what_was_asked_for_and_images_are_counted():
    sizes = []
    estimator = black_box(lambda x: (sizes.append(len(x)), scores(x))[1], INFO, input_shape=SHAPE, batch_size=2)
    sizes.clear()
    estimator.predict(X, batch_size=128)
    assert sizes == [2, 2, 1]
    assert estimator.forwards == 5


def test_a_callable_may_write_into_what_it_is_handed():
    def careless(x):
        said = scores(x)
        x[:] = 0
        return said

    kept = X.copy()
    black_box(careless, INFO, input_shape=SHAPE).predict(kept)
    np.testing.assert_array_equal(kept, X)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (3, "is a int, expected a callable"),
        (lambda x: None, "expected scores"),
        (lambda x: scores(x)[:1].repeat(7, 0), r"of shape \(7, 2\) for 1 images"),
        (lambda x: scores(x)[:, 0], "or labels"),
        (lambda x: np.array(["cat"]), "expected scores"),
        (lambda x: 1 / 0, "fails on images of shape .*: division by zero"),
        (labels, "do not tell how many classes it has; pass nb_classes"),
    ],
)
def test_what_is_no_classifier_is_refused_in_one_sentence(model, words):
    with pytest.raises(ModelError, match=words):
        black_box(model, INFO, input_shape=SHAPE)


def test_a_label_outside_the_classes_is_told():
    estimator = black_box(lambda x: np.full(len(x), 7), INFO, input_shape=SHAPE, nb_classes=3)
    with pytest.raises(ModelError, match="gives the label 7, outside its 3 classes"):
        estimator.predict(X)


class Service(BaseHTTPRequestHandler):
    answer = "scores"

    def do_POST(self):
        assert self.headers["Content-Type"] == NPY
        import io

        x = np.load(io.BytesIO(self.rfile.read(int(self.headers["Content-Length"]))), allow_pickle=False)
        body, kind = io.BytesIO(), "application/json"
        if self.path == "/npy":
            np.save(body, scores(x))
            kind = NPY
        elif self.path == "/page":
            body.write(b"<html>Sign in</html>")
        else:
            body.write(json.dumps((labels if self.path == "/labels" else scores)(x).tolist()).encode())
        self.send_response(200 if self.path != "/refused" else 401)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(body.getvalue())

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def service():
    with HTTPServer(("127.0.0.1", 0), Service) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


@pytest.mark.parametrize(("path", "expected"), [("/scores", scores(X)), ("/npy", scores(X)), ("/labels", labels(X))])
def test_an_endpoint_answers_scores_or_labels_as_json_or_npy(service, path, expected):
    model, info = endpoint(service + path)
    np.testing.assert_allclose(model(X), expected, rtol=1e-6)
    assert not info.gradients
    rows = black_box(model, info, input_shape=SHAPE, nb_classes=2).predict(X)
    np.testing.assert_array_equal(rows.argmax(1), labels(X))


def test_an_endpoint_that_fails_is_named(service):
    with pytest.raises(ModelError, match=r"begins with '<html>Sign in</html>', expected JSON"):
        Endpoint(f"{service}/page")(X)
    with pytest.raises(ModelError, match="does not answer: HTTP Error 401"):
        Endpoint(f"{service}/refused")(X)
    with pytest.raises(ModelError, match="does not answer"):
        Endpoint("http://127.0.0.1:9/")(X)


def test_an_address_is_http():
    from art_weakrobust.errors import UsageError

    with pytest.raises(UsageError, match="as in endpoint:http://localhost:8000/"):
        endpoint("localhost:8000")
