"""How the answers of a trained network are to be read, as the validation photos tell."""

from torch import Tensor

from .. import IGNORE
from ..metrics import Calibration, recall_thresholds
from ..networks.prediction import Prediction
from ..outputs.blobs import smoothed
from .processes import Processes


class Reading:
    """From which confidence on the animals are found, and how sure the species are."""

    def __init__(self):
        self.calibration = Calibration()
        self.animals, self.empties = [], []  # confidences of the photos with and without one

    def update(self, truth: Tensor, prediction: Prediction) -> None:
        """Add a photo: its true classes, uint8 (H, W), and what the network says."""
        animal = bool(((truth > 0) & (truth != IGNORE)).any())
        if animal:
            self.calibration.update(truth, prediction.logits)
        elif (truth == IGNORE).any():
            return  # nobody knows
        (self.animals if animal else self.empties).append(
            float(smoothed(prediction.foreground()).max()))

    def of_all(self, processes: Processes) -> dict:
        """What the photos of all processes tell, by the names of a run's Progress: `thresholds`,
        see `recall_thresholds`, and `temperature`, see `Calibration`."""
        self.calibration.losses = processes.sum(self.calibration.losses)
        confidences = map(processes.gathered, (self.animals, self.empties))
        return {"thresholds": recall_thresholds(*confidences),
                "temperature": self.calibration.temperature()}
