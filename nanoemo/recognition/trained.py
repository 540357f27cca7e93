"""What recognising faces and voices have in common: a run's network with the weights of its best epoch."""
from nanoemo import Tensor, models, no_grad, ops
from nanoemo.training import RunFolder, Settings, checkpoint, joint

__all__ = ["Trained", "listens"]


class Trained:
    """The network of the run in folder `run`, ready to be asked on `device`. A subclass says how its inputs are made.

    classes: names in the order of the labels; title: what it is and what it was trained on; drawn: whether that was drawn
    faces or made voices

    Raises RunFolderError where `run` is no run or has no finished epoch, ValueError where its network is no classifier,
    CheckpointError for damaged weights.
    """

    def __init__(self, run, device="cpu"):
        folder, config, settings = _opened(run)
        best = folder.finished_best_path()
        self._check(folder, settings)
        about = config["data"]
        self.classes = tuple(about["classes"])
        self.example_shape = tuple(about["image_shape"])
        self.drawn = bool(about.get("drawn"))
        self.title = f"{settings.model}, trained on {about['name']}"
        self.device = device
        self.model = models.build(settings.model, len(self.classes), self._prepare_for(folder, settings), **settings.options)
        checkpoint.load_weights(best, self.model)
        self.model.to(device).eval()

    def _check(self, folder, settings):
        if models.recipe(settings.model).num_classes is None:
            raise ValueError(f"{folder.path}: {settings.model} is an auto-encoder, which knows no emotions; give the run "
                             "of a classifier")

    def _prepare_for(self, folder, settings):
        """Get ready to make inputs as the run's validation did; returns their shape, for the model."""
        raise NotImplementedError

    def _inputs(self, examples):
        """What the network is given for N examples: a tuple of arrays (N, ...)."""
        raise NotImplementedError

    def _ask(self, examples):
        """float32 (N, K), the softmax of the network's scores."""
        with no_grad():
            scores = self.model(*(Tensor(array, device=self.device) for array in self._inputs(examples)))
            return ops.softmax(scores).cpu().numpy()

    def answers_and_features(self, examples):
        """float32 (N, K), as `probabilities` gives them, and (N, F), the features by which the last layer decides.

        examples: as for `probabilities`
        """
        body, last = joint.without_last(self.model)
        with no_grad():
            return joint.answers_and_features(body, last, *(Tensor(array, device=self.device)
                                                            for array in self._inputs(examples)))


def listens(run):
    """Whether the network of the run in folder `run` was trained on voices. RunFolderError where that is no run."""
    return _opened(run)[2].listens


def _opened(run):
    folder = RunFolder.open(run)
    config = folder.config()
    return folder, config, Settings.from_config(config, folder.config_path)
