"""`nanoemo train` of an auto-encoder: where it differs from that of a classifier.

It is trained to make its input again (`nanoemo.training.reconstruction`), and judged by how well it does: there is no accuracy,
no confusion matrix, and nothing to check against chance. What it makes of some validation images is drawn.
"""
from nanoemo import Tensor, models, ops, viz
from nanoemo.files import write_file
from nanoemo.nn import undisturbed
from nanoemo.training.experiment import Experiment
from nanoemo.training.reconstruction import Cascade, Reconstructor
from nanoemo.training.recorder import best_epoch
from nanoemo.training.report import write_report

__all__ = ["AutoEncoderExperiment"]

SHOWN = 8           # images whose reconstruction is drawn


class AutoEncoderExperiment(Experiment):
    """Trains an auto-encoder on images, or on features of clips. Arguments and errors are those of `Experiment`.

    >>> from nanoemo.training import Settings
    >>> experiment = AutoEncoderExperiment(Settings.from_recipe("series.conv_ae", limit=70))
    >>> experiment.title, experiment.loss_unit
    ('series.conv_ae on drawn faces', 'binary cross-entropy')
    """
    trainer_class, loss_unit = Reconstructor, "binary cross-entropy"

    def make_model(self):
        model = models.build(self.settings.model, input_shape=self.input_shape, **self.settings.options)
        return Cascade(self.input_shape[-1], encoder=model.encoder, decoder=model.decoder)

    def make_loss(self):
        return ops.binary_cross_entropy

    def _scores_as(self, run):
        return True             # its input again, whatever the classes are

    def _before_first_step(self, folder, stop, say):
        """What is to be made again must be brought into the decoder's range, 0 … 1."""
        if self.trainer.epoch == self.trainer.step == 0:        # later what comes before the encoder may have learnt
            self.model.measure_range(self.loader("train"), stop=stop)

    def judge(self, folder, splits, place=None, stop=None, say=print):
        """Tell how near the best weights come on the validation set, and draw reconstructions."""
        history = self._take_best(folder)["history"]
        epoch = best_epoch(history)
        say(f"validation set: {self.loss_unit} {epoch['val_loss']:.4f} (weights of epoch {epoch['epoch']})")
        write_file(folder.path / "reconstructions.png", viz.to_png(self._draw_reconstructions()))
        write_report(folder)
        return True

    def _draw_reconstructions(self):
        images, _ = next(iter(self.loader("validation")))
        with undisturbed(self.model):
            target, output = self.trainer.reconstruct(Tensor(images[:SHOWN], device=self.settings.device))
        return viz.reconstructions(images[:SHOWN], target.cpu().numpy(), output.cpu().numpy(),
                                   f"{self.title}: validation images, what the auto-encoder is to give, what it gives")
