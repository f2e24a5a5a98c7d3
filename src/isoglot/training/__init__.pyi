from .losses.batch import PairBatch as PairBatch
from .losses.named import LossTerm as LossTerm
from .losses.named import register_loss as register_loss
from .run import train as train
from .sampling.regimes import Sampling as Sampling
from .sampling.regimes import register_regime as register_regime
from .sampling.sampler import HybridBatchSampler as HybridBatchSampler
from .settings import TrainSettings as TrainSettings
