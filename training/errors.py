"""Why a training ends without a checkpoint; each message says what to do.

TrainingError
├── TrainingRefused    it can't start as asked; nothing was trained
├── DataMissing        its pictures can't be fetched, built or read (training/data/cache.py)
├── RunBroken          its run folder has files of another program, or damaged ones
├── TrainingDiverged   a loss or a weight is no longer finite; the last saved state is from before
└── TrainingStopped    by a signal; its state is saved
"""


class TrainingError(Exception):
    pass


class TrainingRefused(TrainingError):
    pass


class RunBroken(TrainingError):
    pass


class TrainingDiverged(TrainingError):
    pass


class TrainingStopped(TrainingError):
    """`signal` is the number of the signal."""

    def __init__(self, message: str, signal: int) -> None:
        super().__init__(message)
        self.signal = signal
