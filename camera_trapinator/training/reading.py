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
        self.confidences = []  # of the photos with an animal

    def update(self, truth: Tensor, prediction: Prediction) -> None:
        """Add a photo: its true classes, uint8 (H, W), and what the network says."""
        if ((truth > 0) & (truth != IGNORE)).any():
            self.calibration.update(truth, prediction.logits)
            self.confidences.append(float(smoothed(prediction.foreground()).max()))

    def of_all(self, processes: Processes) -> dict:
        """What the photos of all processes tell, by the names of a run's Progress: `thresholds`,
        see `recall_thresholds`, and `temperature`, see `Calibration`."""
        self.calibration.losses = processes.sum(self.calibration.losses)
        return {"thresholds": recall_thresholds(processes.gathered(self.confidences)),
                "temperature": self.calibration.temperature()}
